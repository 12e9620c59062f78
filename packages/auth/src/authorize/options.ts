import { ConfigError, type ConfigFault, type ErrorMode, faultsOf } from '@postern/contracts'
import * as v from 'valibot'
import { errorsOption, MAX_MS, nameOption, whole } from '../option-parts.ts'
import { readRule } from './compile-rule.ts'
import type { Part } from './outcome.ts'
import type { Rule } from './rule.ts'

/** Options of {@link authorize}. */
export interface AuthorizeOptions {
  /** Longest wait for the answer of a check, in milliseconds, 1 to 2^31-1; then 503. @default 5_000 */
  readonly timeoutMs?: number
  /** Tells rules apart in the audit's events, 1 to 128 characters. @default 'authorize' */
  readonly name?: string
  /** `'next'` hands errors to the app's error handler. @default 'respond' */
  readonly errors?: ErrorMode
}

/** What {@link resolveAuthorizeOptions} makes of rule and options. */
export interface ResolvedAuthorizeOptions {
  readonly rule: Part
  readonly name: string
  readonly errors: ErrorMode
}

const schema = v.strictObject({
  timeoutMs: v.optional(whole(1, MAX_MS), 5_000),
  name: nameOption('authorize'),
  errors: errorsOption,
})

/**
 * Checks the rule and the options, and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveAuthorizeOptions(rule: Rule, input: AuthorizeOptions = {}): ResolvedAuthorizeOptions {
  const faults: ConfigFault[] = []
  const result = v.safeParse(schema, input)
  const part = readRule(rule, result.success ? result.output.timeoutMs : 1, faults)
  if (!result.success) {
    const isObject = typeof input === 'object' && input !== null && !Array.isArray(input)
    if (isObject) faults.push(...faultsOf(result.issues, () => Object.keys(schema.entries)))
    else faults.push({ path: '', message: 'not an options object', received: input })
  }
  if (faults.length > 0 || !result.success) throw new ConfigError('authorize()', faults)
  const { name, errors } = result.output
  return Object.freeze({ rule: part, name, errors })
}
