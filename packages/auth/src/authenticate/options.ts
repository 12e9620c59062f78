import { type Clock, ConfigError, type ConfigFault, type ErrorMode, faultsOf, systemClock } from '@postern/contracts'
import * as v from 'valibot'
import {
  FAILURE_LIMIT_KEYS,
  type FailureLimitOptions,
  failureLimitOption,
  type ResolvedFailureLimit,
} from '../brute-force/options.ts'
import { clockOption, errorsOption } from '../option-parts.ts'
import { PassportScheme } from '../passport/passport-scheme.ts'
import type { PassportStrategy, SchemeStrategy } from '../passport/scheme-strategy.ts'
import type { Scheme } from '../scheme.ts'

/** Options of {@link authenticate}. */
export interface AuthenticateOptions {
  /** Callers who show no credentials pass without an identity; those who show wrong ones never do. @default false */
  readonly optional?: boolean
  /**
   * What the upstream sees of the credentials: `'pass'` all, `'drop'` nothing, whichever of the schemes they belong to.
   * Passed on, a key or a password is known to one more service. @default 'pass'
   */
  readonly credentials?: 'pass' | 'drop'
  /**
   * How failures slow further tries down, by address and by the user that they name. Tokens and keys that are remembered
   * pass all the same; passwords wait. `false`: guessing is not slowed down. @default {}
   */
  readonly failureLimit?: FailureLimitOptions | false
  /** `'next'` hands errors to the app's error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** What {@link resolveOptions} makes of the arguments. */
export interface ResolvedAuthenticate {
  readonly schemes: readonly Scheme[]
  readonly optional: boolean
  readonly dropsCredentials: boolean
  readonly failureLimit: ResolvedFailureLimit | undefined
  readonly errors: ErrorMode
  readonly clock: Clock
}

const schema = v.strictObject({
  optional: v.optional(v.boolean('not a boolean'), false),
  credentials: v.optional(v.picklist(['pass', 'drop'], 'not "pass" or "drop"'), 'pass'),
  failureLimit: failureLimitOption,
  errors: errorsOption,
  clock: clockOption,
})

/**
 * Tells schemes and options apart, checks both.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(args: readonly (PassportStrategy | AuthenticateOptions)[]): ResolvedAuthenticate {
  const faults: ConfigFault[] = []
  const last = args.at(-1)
  const hasOptions = args.length > 0 && isOptions(last)
  const strategies = (hasOptions ? args.slice(0, -1) : args) as readonly PassportStrategy[]
  const schemes: Scheme[] = []
  for (const [i, strategy] of strategies.entries()) {
    if (typeof strategy?.authenticate === 'function') {
      // The same scheme twice would only be asked twice.
      const scheme = schemeOf(strategy)
      if (!schemes.includes(scheme)) schemes.push(scheme)
      if (!hasChallenge(scheme)) {
        const cure = `return one line of visible ASCII: 'ApiKey realm="api"'`
        faults.push({ path: `schemes[${i}]`, message: 'its challenge() is no value of WWW-Authenticate', cure })
      }
    } else {
      const cure = 'give it jwt({ … }), apiKey({ … }) or another strategy of passport'
      faults.push({ path: `schemes[${i}]`, message: 'not a scheme', received: strategy, cure })
    }
  }
  if (strategies.length === 0) {
    faults.push({ path: 'schemes', message: 'there is none', cure: 'write authenticate(jwt({ … }))' })
  }
  const result = v.safeParse(schema, hasOptions ? last : {})
  if (!result.success) {
    const known = (path: readonly (string | number)[]): readonly string[] =>
      path[0] === 'failureLimit' ? FAILURE_LIMIT_KEYS : Object.keys(schema.entries)
    faults.push(...faultsOf(result.issues, known))
  }
  if (faults.length > 0 || !result.success) throw new ConfigError('authenticate()', faults)
  const { optional, credentials, failureLimit, errors, clock = systemClock } = result.output
  return Object.freeze({
    schemes: Object.freeze(schemes),
    optional,
    dropsCredentials: credentials === 'drop',
    failureLimit: failureLimit === false ? undefined : failureLimit,
    errors,
    clock,
  })
}

function isOptions(value: unknown): value is AuthenticateOptions {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('authenticate' in value)
}

/** The scheme that a strategy of this package carries; any other strategy becomes one. */
function schemeOf(strategy: PassportStrategy): Scheme {
  const { scheme } = strategy as Partial<SchemeStrategy>
  return isScheme(scheme) ? scheme : new PassportScheme(strategy)
}

/** What `Scheme.challenge()` returns goes into a header as it is; one that cannot would make a 500 of each 401. */
function hasChallenge(scheme: Scheme): boolean {
  try {
    return [scheme.challenge(), scheme.challenge('invalid_token')].every(
      (each: unknown) => typeof each === 'string' && /^[\x21-\x7e][\x20-\x7e]*$/.test(each),
    )
  } catch {
    return false
  }
}

function isScheme(value: unknown): value is Scheme {
  const scheme = value as Partial<Scheme> | undefined
  return typeof scheme?.find === 'function' && typeof scheme.verify === 'function'
}
