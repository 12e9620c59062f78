import { type ApiKeyOptions, resolveApiKeyOptions } from './api-key/options.ts'
import type { ApiKeyRecord } from './api-key/record.ts'
import { ApiKeyScheme } from './api-key/scheme.ts'
import { type BasicOptions, resolveBasicOptions } from './basic/options.ts'
import { BasicScheme } from './basic/scheme.ts'
import type { UserTableInput } from './basic/users.ts'
import { ClientCertificateScheme } from './client-certificate/client-certificate-scheme.ts'
import { type ClientCertificateOptions, resolveClientCertificateOptions } from './client-certificate/options.ts'
import { type IntrospectionOptions, resolveIntrospectionOptions } from './introspection/options.ts'
import { IntrospectionScheme } from './introspection/scheme.ts'
import { PassportScheme, type PassportSchemeOptions } from './passport/passport-scheme.ts'
import { type PassportStrategy, type SchemeStrategy, strategyOf } from './passport/scheme-strategy.ts'
import type { Scheme } from './scheme.ts'

/** The strategy that {@link apiKey} returns. */
export interface ApiKeyStrategy extends SchemeStrategy {
  /**
   * Puts other keys in the place of all in the table, at once. When there is any fault the old ones stay.
   *
   * @throws ConfigError with all faults
   */
  replaceKeys(records: readonly ApiKeyRecord[]): void
  /** With `lookup`: forgets what is known of a key, such as one that was revoked just now. By its hash. */
  forget(keyHash: string): void
}

/**
 * API keys: long random texts that a program shows. The gateway knows their hashes only.
 *
 * @throws ConfigError with all faults
 */
export function apiKey(options: ApiKeyOptions): ApiKeyStrategy {
  const scheme = new ApiKeyScheme(resolveApiKeyOptions(options))
  return Object.assign(strategyOf(scheme), {
    replaceKeys: (records: readonly ApiKeyRecord[]) => scheme.replaceKeys(records),
    forget: (keyHash: string) => scheme.forget(keyHash),
  })
}

/** The strategy that {@link basic} returns. */
export interface BasicStrategy extends SchemeStrategy {
  /**
   * Puts other users in the place of all in the table, at once. When there is any fault the old ones stay.
   *
   * @throws ConfigError with all faults
   */
  replaceUsers(users: UserTableInput): void
  /** Forgets that a user's password was checked: the next request checks it anew. */
  forget(username: string): void
}

/**
 * User names and passwords (RFC 7617).
 *
 * @throws ConfigError with all faults
 */
export function basic(options: BasicOptions): BasicStrategy {
  const scheme = new BasicScheme(resolveBasicOptions(options))
  return Object.assign(strategyOf(scheme), {
    replaceUsers: (users: UserTableInput) => scheme.replaceUsers(users),
    forget: (username: string) => scheme.forget(username),
  })
}

/** The strategy that {@link introspection} returns. */
export interface IntrospectionStrategy extends SchemeStrategy {
  /** How many active tokens are remembered. */
  readonly remembered: number
  /** Asks anew about a token: it was revoked, say. */
  forget(token: string): void
  /** Asks anew about all tokens. */
  forgetAll(): void
}

/**
 * Bearer tokens that an authorization server is asked about (RFC 7662).
 *
 * @throws ConfigError with all faults
 */
export function introspection(options: IntrospectionOptions): IntrospectionStrategy {
  const scheme = new IntrospectionScheme(resolveIntrospectionOptions(options))
  const strategy = Object.assign(strategyOf(scheme), {
    forget: (token: string) => scheme.forget(token),
    forgetAll: () => scheme.forgetAll(),
  })
  return Object.defineProperty(strategy, 'remembered', { get: () => scheme.remembered }) as typeof strategy & {
    readonly remembered: number
  }
}

/**
 * Client certificates, of the TLS connection or as a trusted proxy tells of them (RFC 9440).
 *
 * @throws ConfigError with all faults
 */
export function clientCertificate(options: ClientCertificateOptions = {}): SchemeStrategy {
  return strategyOf(new ClientCertificateScheme(resolveClientCertificateOptions(options)))
}

/**
 * Says how a strategy of passport's ecosystem is read: its name, what credentials it finds, whom its user is. Without it
 * `authenticate(strategy)` takes the strategy as it is.
 *
 * @throws ConfigError when it is no strategy
 */
export function passportScheme(strategy: PassportStrategy, options: PassportSchemeOptions): SchemeStrategy {
  return strategyOf(new PassportScheme(strategy, options))
}

/** A scheme of your own as a passport strategy. */
export function customScheme(scheme: Scheme): SchemeStrategy {
  return strategyOf(scheme)
}
