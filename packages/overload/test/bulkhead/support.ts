import { GradientLimit } from '../../src/bulkhead/gradient-limit.ts'
import { type AdaptiveOptions, type ResolvedAdaptiveOptions, resolveOptions } from '../../src/bulkhead/options.ts'
import { seeded } from '../support.ts'

/** An adaptive limit that begins at the time 0. */
export function adaptiveLimit(options: AdaptiveOptions = {}): GradientLimit {
  return new GradientLimit(resolvedAdaptive(options), seeded(3), 0)
}

export function resolvedAdaptive(options: AdaptiveOptions): ResolvedAdaptiveOptions {
  const { limit } = resolveOptions({ adaptive: options })
  if (typeof limit === 'number') throw new Error('not adaptive')
  return limit
}
