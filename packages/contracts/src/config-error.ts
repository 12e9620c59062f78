import { inspect } from 'node:util'

/** One thing that is wrong in a configuration. */
export interface ConfigFault {
  /** Where: `timeouts.headersMs`, `routes[3].prefix`. */
  readonly path: string
  /** What is wrong. */
  readonly message: string
  /** The value that was given. */
  readonly received?: unknown
  /** What to write instead. */
  readonly cure?: string
}

/** The part of a schema library's issue that we read (valibot's `BaseIssue` fits). */
export interface SchemaIssue {
  readonly kind: string
  readonly type: string
  readonly message: string
  readonly input: unknown
  /** `'never'` for a key that must not be there. */
  readonly expected?: string | null
  readonly path?: readonly SchemaPathItem[] | undefined
}

interface SchemaPathItem {
  readonly key?: unknown
  /** `'key'` when the key itself is the fault (unknown or missing), not its value. */
  readonly origin?: string
  readonly value?: unknown
}

const BRAND = Symbol.for('postern.ConfigError')

/**
 * A configuration that cannot be used, with *all* its faults, each by path, received value and cure. Thrown at start,
 * never at a request.
 */
export class ConfigError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass inherits this method; it has only its own instances.
    // biome-ignore lint/complexity/noThisInStatic: `this` is the class that `instanceof` was asked for
    if (this !== ConfigError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && BRAND in value
  }
  readonly [BRAND] = true
  readonly code = 'POSTERN_CONFIG'
  readonly faults: readonly ConfigFault[]

  /** @param subject whose configuration it is: `proxy()`, `gateway()` */
  constructor(subject: string, faults: readonly ConfigFault[]) {
    super(
      `${subject}: ${faults.length === 1 ? '' : `${faults.length} faults in the options\n`}${faults.map(line).join('\n')}`,
    )
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/**
 * Turns the issues of a schema library into faults: unknown keys get the nearest known one.
 *
 * @param issues what the schema library found
 * @param knownKeys the keys that are known at a path (`''` is the root); for "did you mean"
 */
export function faultsOf(
  issues: readonly SchemaIssue[],
  knownKeys: (path: readonly (string | number)[]) => readonly string[] = () => [],
): ConfigFault[] {
  return issues.map((issue) => {
    const keys = (issue.path ?? []).map((item) => item.key as string | number)
    const path = pathText(keys)
    const last = issue.path?.at(-1)
    // A key that breaks a rule of its own (a header's name) is told by the rule's words.
    if (last?.origin !== 'key' || issue.kind !== 'schema')
      return { path, message: issue.message, received: issue.input }
    if (issue.expected !== 'never') return { path, message: 'missing', cure: 'give it a value' }
    const known = knownKeys(keys.slice(0, -1))
    const near = nearest(String(last.key), known)
    // The issue's own input is the key; its value is what the user wrote.
    const fault = { path, message: 'unknown option', received: last.value }
    if (near !== undefined) {
      const cure = `did you mean "${near}"?`
      // The name of a secret, mistyped, is not the name of a secret any more.
      const isDisguised = SECRET.test(near) && !SECRET.test(String(last.key))
      return isDisguised ? { path, message: fault.message, cure } : { ...fault, cure }
    }
    return known.length === 0 ? fault : { ...fault, cure: `known here: ${known.join(', ')}` }
  })
}

/** `['routes', 3, 'prefix']` → `routes[3].prefix`. */
export function pathText(keys: readonly (string | number)[]): string {
  let text = ''
  for (const key of keys) {
    if (typeof key === 'number') text += `[${key}]`
    else text += text === '' ? key : `.${key}`
  }
  return text
}

/** The known key nearest to a mistyped one, or undefined when none is near enough to be meant. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(key.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Edit distance in which two letters that changed places count as one slip (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1)
      next.push(least)
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/** Options whose values are secrets: their values are never printed back. */
const SECRET = /^(?:key|pfx)$|passphrase|password|secret|token|credential|authorization|cookie|apikey|privatekey/i

function line(fault: ConfigFault): string {
  const name = fault.path.match(/[^.[\]]+(?=(?:\[\d+\])*$)/)?.[0] ?? ''
  const received =
    SECRET.test(name) && fault.received !== undefined ? 'a value that is not shown' : short(fault.received)
  const got = 'received' in fault ? `, got ${received}` : ''
  const cure = fault.cure === undefined ? '' : `; ${fault.cure}`
  return `${fault.path === '' ? '' : `${fault.path}: `}${fault.message}${got}${cure}`
}

function short(value: unknown): string {
  const text = inspect(withoutSecrets(value), {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxStringLength: 80,
    maxArrayLength: 5,
  })
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}

function withoutSecrets(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, SECRET.test(key) ? '(not shown)' : each]))
}
