import { isJwtAlgorithm } from './algorithms.ts'
import type { JwtAlgorithm } from './key-set.ts'
import { type JsonFault, parseJsonObject } from './strict-json.ts'

/** A token that is in form. Nothing of it has been verified. */
export interface CompactToken {
  readonly alg: JwtAlgorithm
  readonly kid: string | undefined
  readonly typ: string | undefined
  /** Header and payload as they were signed (RFC 7515 §5.2, step 8). */
  readonly signingInput: string
  readonly signature: Buffer
  /** Frozen at every level. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** Why a token is out of form. */
export type TokenFault =
  | JsonFault
  | 'too-long'
  | 'malformed'
  | 'encrypted'
  | 'encoding'
  | 'unsigned'
  | 'algorithm'
  | 'malformed-kid'
  | 'malformed-typ'
  | 'critical-header'
  | 'unencoded-payload'
  | 'compressed'
  | 'nested'
  | 'embedded-key'

/** A key's id is compared with those of known keys and with nothing else; longer ones exist nowhere. */
export const MAX_KID_LENGTH = 256

/**
 * Takes a JWT in the compact serialization apart (RFC 7515 §7.1, RFC 7519 §7.2), and refuses everything that two readers
 * could read in two ways. Comes before any cryptography; never throws; linear in the length of the token.
 *
 * @param maxBytes looked at first
 * @returns the token, or the reason why it is refused
 */
export function parseToken(token: string, maxBytes: number): CompactToken | TokenFault {
  if (token.length > maxBytes) return 'too-long'
  const first = token.indexOf('.')
  const second = first < 0 ? -1 : token.indexOf('.', first + 1)
  if (second < 0) return 'malformed'
  const third = token.indexOf('.', second + 1)
  // Five parts are a JWE (RFC 7516 §9).
  if (third >= 0) return hasFiveParts(token, third) ? 'encrypted' : 'malformed'
  if (second === token.length - 1) return 'unsigned'

  const headerBytes = decoded(token.slice(0, first))
  const payloadBytes = decoded(token.slice(first + 1, second))
  const signature = decoded(token.slice(second + 1))
  if (headerBytes === undefined || payloadBytes === undefined || signature === undefined) return 'encoding'

  const header = parseJsonObject(headerBytes)
  if (typeof header === 'string') return header
  const fault = headerFault(header)
  if (fault !== undefined) return fault
  const claims = parseJsonObject(payloadBytes)
  if (typeof claims === 'string') return claims
  return {
    alg: header.alg as JwtAlgorithm,
    kid: header.kid as string | undefined,
    typ: header.typ as string | undefined,
    signingInput: token.slice(0, second),
    signature,
    claims,
  }
}

function hasFiveParts(token: string, third: number): boolean {
  const fourth = token.indexOf('.', third + 1)
  return fourth >= 0 && !token.includes('.', fourth + 1)
}

/**
 * Base64url as RFC 7515 §2 has it, in its one canonical spelling. Node's decoder skips what it does not know and takes
 * padding, both alphabets and stray trailing bits; only a text that encodes back to itself has none of these.
 */
function decoded(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function headerFault(header: Readonly<Record<string, unknown>>): TokenFault | undefined {
  // Exact names of this list only: `none` is not on it, in any spelling.
  if (!isJwtAlgorithm(header.alg)) return 'algorithm'
  // No extension is understood here, so that none may be critical, not even an empty list (RFC 7515 §4.1.11).
  if (Object.hasOwn(header, 'crit')) return 'critical-header'
  if (Object.hasOwn(header, 'b64')) return 'unencoded-payload'
  if (Object.hasOwn(header, 'zip')) return 'compressed'
  if (Object.hasOwn(header, 'enc')) return 'encrypted'
  // A token does not say by which key it is to be believed (RFC 8725 §3.10).
  for (const name of EMBEDDED) if (Object.hasOwn(header, name)) return 'embedded-key'
  const { kid, typ, cty } = header
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH))
    return 'malformed-kid'
  if (typ !== undefined && typeof typ !== 'string') return 'malformed-typ'
  // RFC 7519 §5.2: a token within the token.
  if (cty !== undefined && (typeof cty !== 'string' || /^(?:application\/)?jwt$/i.test(cty))) return 'nested'
  return undefined
}

const EMBEDDED = ['jwk', 'jku', 'x5u', 'x5c'] as const
