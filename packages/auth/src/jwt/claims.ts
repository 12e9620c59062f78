/** What the claims of a token are held against. */
export interface ClaimRules {
  /** Compared exactly; undefined: any, and none. */
  readonly issuer: string | undefined
  /** One of them must be among those of the token; undefined: any, and none. */
  readonly audiences: readonly string[] | undefined
  /** One of them must be the `typ` of the header; undefined: any, and none. */
  readonly types: readonly string[] | undefined
  readonly expRequired: boolean
  /** Oldest age by `iat`, in milliseconds; undefined: any. */
  readonly maxAgeMs: number | undefined
  /** By how much the clocks of issuer and gateway may differ, either way, in milliseconds. */
  readonly toleranceMs: number
}

/** Why claims do not hold. */
export type ClaimFault =
  | 'type'
  | 'issuer'
  | 'audience'
  | 'malformed-aud'
  | 'no-exp'
  | 'malformed-exp'
  | 'expired'
  | 'malformed-nbf'
  | 'not-yet-valid'
  | 'no-iat'
  | 'malformed-iat'
  | 'issued-in-future'
  | 'too-old'

/**
 * Seconds since the epoch, either way. It ends in the year 33658, so that an issuer who writes milliseconds does not give
 * tokens that live for fifty thousand years: those are refused.
 */
const MAX_NUMERIC_DATE = 1e12

/**
 * Holds the claims of a token whose signature is verified against the rules (RFC 7519 §4.1 and §7.2, RFC 8725 §3.8–3.11).
 *
 * @param typ of the token's header
 * @param nowMs milliseconds since the Unix epoch
 * @returns the reason for a refusal, the first that is found; undefined when all hold
 */
export function checkClaims(
  claims: Readonly<Record<string, unknown>>,
  typ: string | undefined,
  rules: ClaimRules,
  nowMs: number,
): ClaimFault | undefined {
  if (rules.types !== undefined && !isOfType(typ, rules.types)) return 'type'
  if (rules.issuer !== undefined && claims.iss !== rules.issuer) return 'issuer'
  return audienceFault(claims.aud, rules.audiences) ?? timeFault(claims, rules, nowMs)
}

/**
 * How long a token holds that {@link checkClaims} lets pass: to its `exp` and the tolerance, or to the end of its greatest age
 * if that comes first. From that millisecond on it is refused.
 *
 * @returns milliseconds since the Unix epoch; Infinity when nothing ends it
 */
export function holdsUntilMs(
  claims: Readonly<Record<string, unknown>>,
  rules: Pick<ClaimRules, 'maxAgeMs' | 'toleranceMs'>,
): number {
  const expiry = expiresAtMs(claims, rules.toleranceMs)
  if (rules.maxAgeMs === undefined) return expiry
  const issuedAt = numericDateMs(claims.iat)
  return Math.min(expiry, (issuedAt ?? Number.NEGATIVE_INFINITY) + rules.maxAgeMs + rules.toleranceMs)
}

/**
 * The millisecond since the Unix epoch from which a token has expired; Infinity when it has no `exp`, and the beginning of all
 * time when that is no date.
 */
export function expiresAtMs(claims: Readonly<Record<string, unknown>>, toleranceMs: number): number {
  if (claims.exp === undefined) return Number.POSITIVE_INFINITY
  return (numericDateMs(claims.exp) ?? Number.NEGATIVE_INFINITY) + toleranceMs
}

/**
 * A media type as it is compared: `at+jwt`, `AT+JWT` and `application/at+jwt` are one (RFC 7515 §4.1.9, RFC 9068 §2.1, RFC 2045
 * §5.1).
 */
export function comparableType(typ: string): string {
  const lower = typ.toLowerCase()
  const rest = lower.startsWith('application/') ? lower.slice('application/'.length) : lower
  // The prefix may be left out only where no other slash follows.
  return rest === '' || rest.includes('/') ? lower : rest
}

function isOfType(typ: string | undefined, types: readonly string[]): boolean {
  if (typ === undefined) return false
  const wanted = comparableType(typ)
  return types.some((each) => comparableType(each) === wanted)
}

/** RFC 7519 §4.1.3: a text, or a list of texts. Compared exactly, never by prefix. */
function audienceFault(aud: unknown, audiences: readonly string[] | undefined): ClaimFault | undefined {
  if (aud !== undefined && typeof aud !== 'string' && !isTextList(aud)) return 'malformed-aud'
  if (audiences === undefined) return undefined
  if (aud === undefined) return 'audience'
  const named = typeof aud === 'string' ? audiences.includes(aud) : aud.some((each) => audiences.includes(each))
  return named ? undefined : 'audience'
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

/** RFC 7519 §4.1.4–4.1.6. The tolerance widens each bound, none of them twice. */
function timeFault(
  claims: Readonly<Record<string, unknown>>,
  rules: ClaimRules,
  nowMs: number,
): ClaimFault | undefined {
  const { exp, nbf, iat } = claims
  const { toleranceMs } = rules
  if (exp === undefined) {
    if (rules.expRequired) return 'no-exp'
  } else {
    const expMs = numericDateMs(exp)
    if (expMs === undefined) return 'malformed-exp'
    // "on or after which the JWT MUST NOT be accepted"
    if (nowMs >= expMs + toleranceMs) return 'expired'
  }
  if (nbf !== undefined) {
    const nbfMs = numericDateMs(nbf)
    if (nbfMs === undefined) return 'malformed-nbf'
    if (nowMs < nbfMs - toleranceMs) return 'not-yet-valid'
  }
  if (iat === undefined) return rules.maxAgeMs === undefined ? undefined : 'no-iat'
  const iatMs = numericDateMs(iat)
  if (iatMs === undefined) return 'malformed-iat'
  if (iatMs > nowMs + toleranceMs) return 'issued-in-future'
  if (rules.maxAgeMs !== undefined && nowMs >= iatMs + rules.maxAgeMs + toleranceMs) return 'too-old'
  return undefined
}

/** A NumericDate (RFC 7519 §2): a JSON number of seconds, fractions allowed; neither a text nor a list nor out of all bounds. */
function numericDateMs(value: unknown): number | undefined {
  if (typeof value !== 'number' || !(Math.abs(value) <= MAX_NUMERIC_DATE)) return undefined
  return value * 1_000
}
