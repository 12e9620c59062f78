import { channel, type Exchange, type Identity, type TypedChannel } from '@postern/contracts'

/** The message of {@link identityVerified}. */
export interface IdentityVerification {
  readonly exchange: Exchange
  readonly identity: Identity
  /** True when the credentials were known already. */
  readonly remembered: boolean
}

/** Published when a request has shown credentials that hold. */
export const identityVerified: TypedChannel<IdentityVerification> =
  channel<IdentityVerification>('postern:identity:verified')

/** The message of {@link identityRefused}. */
export interface IdentityRefusal {
  readonly exchange: Exchange
  /** Name of the scheme that found credentials; undefined when none did. */
  readonly scheme: string | undefined
  /** Why, for operators: `none`, `signature`, `expired`, `too-many-failures`. Never shown to a client. */
  readonly reason: string
  /** The status that it was answered with. */
  readonly status: number
}

/** Published when a request is refused for what it shows, or does not show, of who is calling. */
export const identityRefused: TypedChannel<IdentityRefusal> = channel<IdentityRefusal>('postern:identity:refused')

/** The message of {@link accessDecided}. */
export interface AccessDecision {
  readonly exchange: Exchange
  readonly identity: Identity | undefined
  readonly allowed: boolean
  /** The `name` option of `authorize()`. */
  readonly rule: string
  /** Which part of the rule did not hold; undefined when access is allowed. */
  readonly failed: string | undefined
}

/** Published for every decision of `authorize()`, for audit. */
export const accessDecided: TypedChannel<AccessDecision> = channel<AccessDecision>('postern:access:decided')

/** The message of {@link apiKeyUsed}. */
export interface ApiKeyUse {
  /** Name of the scheme. */
  readonly scheme: string
  /** The key's id; never the key. */
  readonly id: string
  readonly subject: string
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
}

/** Published when an API key is used, at most once an interval and key. */
export const apiKeyUsed: TypedChannel<ApiKeyUse> = channel<ApiKeyUse>('postern:key:used')

/** The message of {@link keySetRefreshed}. */
export interface KeySetRefresh {
  readonly url: string
  /** How many keys are in use now. */
  readonly keys: number
  /** Why keys of the answer are not used, one line each. */
  readonly refused: readonly string[]
}

/** Published when a JSON Web Key Set was fetched. */
export const keySetRefreshed: TypedChannel<KeySetRefresh> = channel<KeySetRefresh>('postern:key-set:refreshed')

/** The message of {@link providerFailed}. */
export interface ProviderFailure {
  /**
   * What was asked: `jwks`, `introspection`, `token-exchange`, `api-key-lookup`, `revocation`, `basic-lookup`,
   * `basic-verify`, `basic-hash`, `client-certificate`, `authorize-check`, `user`.
   */
  readonly provider: string
  /** Where; undefined for functions. */
  readonly url: string | undefined
  readonly error: unknown
}

/** Published when somebody who is asked about credentials does not answer, or answers nonsense. */
export const providerFailed: TypedChannel<ProviderFailure> = channel<ProviderFailure>('postern:provider:failed')
