import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, exchangeOf, type Identity, warnOnce } from '@postern/contracts'
import passport from 'passport'
import { bearerChallenge, type ChallengeError } from '../challenge.ts'
import { soleLine } from '../credentials/header-lines.ts'
import { identityOf, type Refused, refused, type Scheme, unavailable, type Verdict, verified } from '../scheme.ts'
import { type IdentityParts, type PassportSchemeOptions, resolvePassportSchemeOptions } from './options.ts'
import type { PassportStrategy } from './scheme-strategy.ts'

export type { IdentityParts, PassportSchemeOptions } from './options.ts'

type Callback = (error: unknown, user?: unknown, info?: unknown, status?: unknown) => void
type Authenticate = (
  strategy: object,
  options: object,
  callback: Callback,
) => (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

const runPassport = passport.authenticate.bind(passport) as unknown as Authenticate
const WITHOUT_SESSION = Object.freeze({ session: false })
const FAILED: Refused = refused('strategy-failed', { isGuess: true })
const NO_SUBJECT: Refused = refused('no-subject')

/** Any strategy of passport's ecosystem as a scheme. It needs neither `passport.initialize()` nor a session. */
export class PassportScheme implements Scheme {
  readonly name: string
  readonly #strategy: object
  readonly #finds: ((req: IncomingMessage) => boolean) | undefined
  readonly #timeoutMs: number
  readonly #identity: NonNullable<PassportSchemeOptions['identity']>
  readonly #challenge: string

  constructor(strategy: PassportStrategy, options: PassportSchemeOptions = {}) {
    if (typeof (strategy as PassportStrategy | undefined)?.authenticate !== 'function') {
      const cure = 'give it a strategy object: new BearerStrategy(…)'
      throw new ConfigError('authenticate()', [
        { path: 'scheme', message: 'not a passport strategy', received: strategy, cure },
      ])
    }
    const { name, finds, timeoutMs, identity, challenge } = resolvePassportSchemeOptions(options)
    this.#strategy = strategy
    this.name = name ?? strategy.name ?? 'passport'
    this.#finds = finds
    this.#timeoutMs = timeoutMs
    this.#identity = identity ?? partsOf
    this.#challenge = challenge ?? bearerChallenge('Bearer', 'api')
  }

  find(req: IncomingMessage): string | undefined {
    return this.#finds === undefined || this.#finds(req) ? this.name : undefined
  }

  /** A strategy does not say what it looks for: a request that does not look as if it guessed is shown to it in any case. */
  recall(_: string, req: IncomingMessage): Promise<Verdict | undefined> | undefined {
    return this.#showsCredentials(req) ? undefined : this.verify(this.name, req)
  }

  verify(_: string, req: IncomingMessage): Promise<Verdict | undefined> {
    const { promise, resolve } = Promise.withResolvers<Verdict | undefined>()
    const callback: Callback = (error, user, info) => {
      if (error) resolve(unavailable('strategy-error', 1_000, error))
      else if (user) resolve(this.#verified(user, info, req))
      // A strategy fails for what is missing as it fails for what is wrong.
      else resolve(this.#showsCredentials(req) ? FAILED : undefined)
    }
    // Passport writes the actions of a request on the object that it is given: each request needs one of its own.
    const strategy = Object.create(this.#strategy) as PassportStrategy
    // Passport drops what a strategy returns, and with it the rejection of an asynchronous one.
    strategy.authenticate = (...args) => {
      const returned = (this.#strategy as PassportStrategy).authenticate.apply(strategy, args)
      Promise.resolve(returned).catch((error: unknown) => resolve(unavailable('strategy-threw', 1_000, error)))
    }
    const { response } = exchangeOf(req, undefined as never)
    try {
      // A strategy that answers by itself (a redirect) has answered; then nothing is ever called.
      runPassport(strategy, WITHOUT_SESSION, callback)(req, response, (error) => {
        // `pass()`: the strategy has no opinion.
        resolve(error ? unavailable('strategy-error', 1_000, error) : undefined)
      })
    } catch (error) {
      resolve(unavailable('strategy-threw', 1_000, error))
    }
    const timer = setTimeout(() => resolve(unavailable('strategy-timeout', 1_000)), this.#timeoutMs)
    timer.unref()
    return promise.finally(() => clearTimeout(timer))
  }

  challenge(_error?: ChallengeError): string {
    return this.#challenge
  }

  strip(): void {}

  #showsCredentials(req: IncomingMessage): boolean {
    return this.#finds !== undefined || soleLine(req, 'authorization') !== undefined
  }

  #verified(user: unknown, info: unknown, req: IncomingMessage): Verdict {
    let identity: Identity | undefined
    try {
      const parts = this.#identity(user, info, req) as IdentityParts | undefined
      const subject: unknown = parts?.subject
      if (typeof subject === 'string' && subject !== '') identity = identityOf(this.name, subject, parts)
    } catch (error) {
      return unavailable('identity-threw', 1_000, error)
    }
    if (identity === undefined) {
      warnOnce(
        'POSTERN_NO_SUBJECT',
        `the user of the passport strategy "${this.name}" has no id, sub, username or email, and was refused; say who it is: passportScheme(strategy, { identity: (user) => ({ subject: … }) })`,
        this.name,
      )
      return NO_SUBJECT
    }
    ;(req as { authInfo?: unknown }).authInfo = info ?? {}
    return verified(identity, user)
  }
}

function partsOf(user: unknown): IdentityParts {
  if (typeof user === 'string') return { subject: user }
  if (typeof user !== 'object' || user === null) return { subject: '' }
  const { id, sub, username, email, scopes, scope, roles } = user as Record<string, unknown>
  const subject = [id, sub, username, email].find((each) => typeof each === 'string' || typeof each === 'number')
  return {
    subject: subject === undefined ? '' : String(subject),
    scopes: names(scopes ?? scope),
    roles: names(roles),
  }
}

function names(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(' ').filter((name) => name !== '')
  return Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : []
}
