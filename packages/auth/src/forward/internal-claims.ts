import type { Identity } from '@postern/contracts'
import { claimAt } from '../claim-path.ts'

/** Claims that only the issuer writes (RFC 7519 §4.1, RFC 9493 §4.1). */
export const ISSUER_CLAIMS: ReadonlySet<string> = new Set([
  'iss',
  'aud',
  'sub',
  'sub_id',
  'exp',
  'nbf',
  'iat',
  'jti',
  'scheme',
])

/** How long an internal token lives, in seconds since the Unix epoch. */
export interface Life {
  readonly iat: number
  readonly exp: number
  /** It ends when the caller's own credentials do: one that is made later would end no later. */
  readonly isCapped: boolean
}

/**
 * The life of a token that is made now: never longer than the credentials live that it stands for, rounded down to whole
 * seconds, since some verifiers know no others. Undefined when nothing is left of it.
 */
export function lifeOf(identity: Identity, nowMs: number, ttlMs: number): Life | undefined {
  const iat = Math.floor(nowMs / 1_000)
  const longest = Math.floor((nowMs + ttlMs) / 1_000)
  const own = identity.claims.exp
  const isCapped = typeof own === 'number' && own < longest
  const exp = isCapped ? Math.floor(own) : longest
  return exp > iat ? { iat, exp, isCapped } : undefined
}

/** Whether a token that was made before may still be used: a third of its life is left, or a new one would live no longer. */
export function isUsable(life: Life, nowMs: number): boolean {
  const leftMs = life.exp * 1_000 - nowMs
  const wholeMs = (life.exp - life.iat) * 1_000
  // More than the whole: the clock was set back, and the token would come out of the future.
  return leftMs > 0 && leftMs <= wholeMs && (life.isCapped || leftMs * 3 >= wholeMs)
}

/**
 * The claims of an internal token, those of its life and its name apart. `sub_id` tells callers of several issuers apart,
 * who may have the same `sub` (RFC 9493 §3.2.3).
 *
 * @param extra chosen claims; they may replace `scope` and `roles`, never those of {@link ISSUER_CLAIMS}
 */
export function internalClaims(
  identity: Identity,
  extra: Readonly<Record<string, unknown>> | undefined,
): Record<string, unknown> {
  // Without a prototype, a claim named `__proto__` is one like any other.
  const claims = Object.create(null) as Record<string, unknown>
  if (identity.scopes.length > 0) claims.scope = identity.scopes.join(' ')
  if (identity.roles.length > 0) claims.roles = identity.roles
  for (const name in extra) if (Object.hasOwn(extra, name)) claims[name] = extra[name]
  for (const name of ISSUER_CLAIMS) delete claims[name]
  claims.sub = identity.subject
  const { iss } = identity.claims
  if (typeof iss === 'string') claims.sub_id = { format: 'iss_sub', iss, sub: identity.subject }
  claims.scheme = identity.scheme
  return claims
}

/** Chosen claims of an identity by their paths; each keeps its path as its name. */
export function chosenClaims(identity: Identity, paths: readonly string[]): Record<string, unknown> {
  const claims = Object.create(null) as Record<string, unknown>
  for (const path of paths) {
    const value = claimAt(identity.claims, path)
    if (value !== undefined) claims[path] = value
  }
  return claims
}
