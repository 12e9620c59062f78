import {
  ConfigError,
  type ConfigFault,
  createTarget,
  faultsOf,
  type Target,
  type TargetOptions,
} from '@postern/contracts'
import * as v from 'valibot'

/** One target as a user writes it: its URL, or more than that. */
export type TargetInput = string | URL | TargetOptions

const text = v.pipe(v.string('not a string'), v.nonEmpty('empty'))
const pem = v.union([text, v.instance(Buffer)], 'not PEM text or a Buffer')
const tls = v.strictObject(
  {
    ca: v.optional(v.union([pem, v.array(pem)], 'not PEM text, a Buffer or a list of them')),
    cert: v.optional(pem),
    key: v.optional(pem),
    passphrase: v.optional(v.string('not a string')),
    servername: v.optional(v.string('not a string')),
    rejectUnauthorized: v.optional(v.boolean('not true or false')),
  },
  'not an object',
)
const target = v.strictObject({
  url: v.union([text, v.instance(URL)], 'not a URL'),
  id: v.optional(text),
  weight: v.optional(v.number('not a number from 0 to 1000000')),
  tier: v.optional(v.number('not a whole number from 0 to 100')),
  socketPath: v.optional(text),
  tls: v.optional(tls),
  tags: v.optional(v.record(v.string(), v.string('not a string'), 'not an object')),
})

function knownKeys(path: readonly (string | number)[]): string[] {
  if (path.length === 2) return Object.keys(target.entries)
  return path.at(-1) === 'tls' ? Object.keys(tls.entries) : []
}

/**
 * Checks a list of targets and makes them.
 *
 * @param faults takes everything that is wrong: each target's own faults, and ids that occur twice
 * @returns the targets that could be made
 */
export function resolveTargets(input: unknown, faults: ConfigFault[]): readonly Target[] {
  if (!Array.isArray(input)) {
    faults.push({
      path: 'targets',
      message: 'not a list',
      received: input,
      cure: "write targets: ['http://127.0.0.1:3000']",
    })
    return []
  }
  const targets: Target[] = []
  const indexOf = new Map<string, number>()
  // `entries()` and not `forEach()`: a hole in the list is a fault, too.
  for (const [i, item] of (input as readonly unknown[]).entries()) {
    const made = resolveTarget(item, i, faults)
    if (made === undefined) continue
    targets.push(made)
    const other = indexOf.get(made.id)
    if (other === undefined) indexOf.set(made.id, i)
    else {
      faults.push({
        path: `targets[${i}]`,
        message: `has the same id as targets[${other}]`,
        received: made.id,
        cure: 'take one out, or give each an id of its own',
      })
    }
  }
  return Object.freeze(targets)
}

function resolveTarget(item: unknown, index: number, faults: ConfigFault[]): Target | undefined {
  const path = `targets[${index}]`
  if (typeof item !== 'string' && !(item instanceof URL)) {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) {
      faults.push({ path, message: 'not a target', received: item, cure: 'write a URL or { url, … }' })
      return undefined
    }
    const result = v.safeParse(target, item)
    if (!result.success) {
      const prefix = [{ key: 'targets' }, { key: index }]
      faults.push(
        ...faultsOf(
          result.issues.map((issue) => ({ ...issue, path: [...prefix, ...(issue.path ?? [])] })),
          knownKeys,
        ),
      )
      return undefined
    }
  }
  try {
    return createTarget(item as TargetInput, path)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    faults.push(...error.faults)
    return undefined
  }
}
