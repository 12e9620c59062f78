import { type Clock, ConfigError, faultsOf, systemClock } from '@postern/contracts'
import * as v from 'valibot'
import { clockOption, whole } from '../option-parts.ts'

/** Options of {@link memoryStore}. */
export interface MemoryStoreOptions {
  /**
   * Memory that what is stored may take, in bytes, 1,024 to 2^50: content, heads, keys and what the process needs to keep
   * them. Nearly all of it lies outside V8's heap. Memory that was needed once is kept, and written over. Up to 8 MiB of it,
   * at most a sixteenth, is for responses that are read over and over. @default 64 MiB
   */
  readonly maxBytes?: number
  /** Longest content that is stored, in bytes, 0 to `maxBytes`. @default 8 MiB, at most `maxBytes` */
  readonly maxObjectBytes?: number
  /** Responses behind one key, 1 to 10,000; one more takes the place of the oldest. @default 64 */
  readonly maxVariants?: number
  /** Source of the wall time that a soft purge notes; for tests. @default the process's clocks */
  readonly clock?: Clock
}

export type ResolvedMemoryStoreOptions = Readonly<Required<MemoryStoreOptions>>

const DEFAULT_BYTES = 64 * 1_048_576
const DEFAULT_OBJECT_BYTES = 8 * 1_048_576
const MOST_BYTES = 2 ** 50

const schema = v.strictObject({
  maxBytes: v.optional(whole(1_024, MOST_BYTES), DEFAULT_BYTES),
  maxObjectBytes: v.optional(whole(0, MOST_BYTES)),
  maxVariants: v.optional(whole(1, 10_000), 64),
  clock: clockOption,
})

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: MemoryStoreOptions): ResolvedMemoryStoreOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write memoryStore() or memoryStore({ maxBytes: 256 * 1024 * 1024 })'
    throw new ConfigError('memoryStore()', [{ path: '', message: 'not an options object', received: input, cure }])
  }
  const result = v.safeParse(schema, input)
  if (!result.success) {
    throw new ConfigError(
      'memoryStore()',
      faultsOf(result.issues, () => Object.keys(schema.entries)),
    )
  }
  const { maxBytes, maxVariants, clock = systemClock } = result.output
  const { maxObjectBytes = Math.min(DEFAULT_OBJECT_BYTES, maxBytes) } = result.output
  if (maxObjectBytes > maxBytes) {
    const cure = `use at most maxBytes, ${maxBytes}`
    throw new ConfigError('memoryStore()', [
      { path: 'maxObjectBytes', message: 'more than maxBytes', received: maxObjectBytes, cure },
    ])
  }
  return Object.freeze({ maxBytes, maxObjectBytes, maxVariants, clock })
}
