import type { KeyObject } from 'node:crypto'
import type { Soon } from '../scheme.ts'

/** Algorithms of RFC 7518 §3, RFC 8037 and RFC 9864; `none` is not among them and never will be. */
export const JWT_ALGORITHMS = [
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number]

/** A key that has passed every check of its own, and what it may verify. */
export interface VerificationKey {
  readonly kid: string | undefined
  readonly key: KeyObject
  /** The configured algorithms that this key's type, curve and own `alg` allow; never empty. */
  readonly algorithms: ReadonlySet<JwtAlgorithm>
  /** False once its key set has dropped it: what was verified with it does not hold any longer. */
  active: boolean
}

/** The provider of keys does not answer, and none that was had before fits. */
export interface KeysUnavailable {
  readonly unavailable: true
  /** When it is worth trying again, in milliseconds. */
  readonly retryAfterMs: number
  readonly cause: unknown
}

/** Where the keys of an issuer come from. */
export interface KeySet {
  /**
   * The keys that may have signed a token, at most four: those of that `kid`, or, without one, all that fit the algorithm. Empty
   * when there is none. At once when it is known; never rejects.
   */
  keysFor(kid: string | undefined, algorithm: JwtAlgorithm): Soon<readonly VerificationKey[] | KeysUnavailable>
  /** Looks whether the keys are due for a refresh, and begins it in the background. Cheap: asked for every request. */
  keepFresh(): void
  close(): void
}
