import type { AsymmetricKeyDetails, KeyObject } from 'node:crypto'
import { JWT_ALGORITHMS, type JwtAlgorithm } from './key-set.ts'

/** What an algorithm is made of (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). */
interface Traits {
  readonly kind: 'hmac' | 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa' | 'eddsa'
  /** As node:crypto calls it; undefined where the curve brings its own. */
  readonly hash: string | undefined
  /** Bytes of the hash; of an HMAC secret, these are the least (RFC 7518 §3.2). */
  readonly digestBytes: number
  /** As node:crypto calls it. */
  readonly curve?: string
  /** Exact length of R and S together (RFC 7518 §3.4). */
  readonly signatureBytes?: number
}

const TRAITS: Readonly<Record<JwtAlgorithm, Traits>> = {
  HS256: { kind: 'hmac', hash: 'sha256', digestBytes: 32 },
  HS384: { kind: 'hmac', hash: 'sha384', digestBytes: 48 },
  HS512: { kind: 'hmac', hash: 'sha512', digestBytes: 64 },
  RS256: { kind: 'rsa-pkcs1', hash: 'sha256', digestBytes: 32 },
  RS384: { kind: 'rsa-pkcs1', hash: 'sha384', digestBytes: 48 },
  RS512: { kind: 'rsa-pkcs1', hash: 'sha512', digestBytes: 64 },
  PS256: { kind: 'rsa-pss', hash: 'sha256', digestBytes: 32 },
  PS384: { kind: 'rsa-pss', hash: 'sha384', digestBytes: 48 },
  PS512: { kind: 'rsa-pss', hash: 'sha512', digestBytes: 64 },
  ES256: { kind: 'ecdsa', hash: 'sha256', digestBytes: 32, curve: 'prime256v1', signatureBytes: 64 },
  ES384: { kind: 'ecdsa', hash: 'sha384', digestBytes: 48, curve: 'secp384r1', signatureBytes: 96 },
  ES512: { kind: 'ecdsa', hash: 'sha512', digestBytes: 64, curve: 'secp521r1', signatureBytes: 132 },
  EdDSA: { kind: 'eddsa', hash: undefined, digestBytes: 0 },
  Ed25519: { kind: 'eddsa', hash: undefined, digestBytes: 0, curve: 'ed25519' },
}

const NAMES: ReadonlySet<string> = new Set(JWT_ALGORITHMS)

/** Whether it is one of the algorithms, spelled exactly so (RFC 7515 §4.1.1: the name is case-sensitive). */
export function isJwtAlgorithm(name: unknown): name is JwtAlgorithm {
  return typeof name === 'string' && NAMES.has(name)
}

export function traitsOf(algorithm: JwtAlgorithm): Traits {
  return TRAITS[algorithm]
}

/**
 * Whether a key is of the kind that an algorithm takes. A public key never fits an HMAC algorithm, and a secret never
 * fits another one: that is the whole defence against algorithm confusion (RFC 8725 §3.1).
 */
export function fits(algorithm: JwtAlgorithm, key: KeyObject): boolean {
  const traits = TRAITS[algorithm]
  if (traits.kind === 'hmac') return key.type === 'secret' && (key.symmetricKeySize ?? 0) >= traits.digestBytes
  if (key.type !== 'public') return false
  const type = key.asymmetricKeyType
  switch (traits.kind) {
    case 'rsa-pkcs1':
      return type === 'rsa'
    case 'rsa-pss':
      return type === 'rsa' || (type === 'rsa-pss' && allowsPss(key, traits))
    case 'ecdsa':
      return type === 'ec' && detailsOf(key).namedCurve === traits.curve
    case 'eddsa':
      return type === 'ed25519' || (type === 'ed448' && traits.curve === undefined)
  }
}

/** What Node reads anew out of a key each time that it is asked. */
const known = new WeakMap<KeyObject, AsymmetricKeyDetails>()

/** Size and curve of an asymmetric key. */
export function detailsOf(key: KeyObject): AsymmetricKeyDetails {
  let details = known.get(key)
  if (details === undefined) {
    details = key.asymmetricKeyDetails ?? {}
    known.set(key, details)
  }
  return details
}

/** An id-RSASSA-PSS key may be bound to a hash and a least salt length (RFC 4055 §3.1); the salt of JWA is as long as the hash. */
function allowsPss(key: KeyObject, traits: Traits): boolean {
  const { hashAlgorithm, mgf1HashAlgorithm, saltLength } = detailsOf(key)
  return (
    (hashAlgorithm === undefined || hashAlgorithm === traits.hash) &&
    (mgf1HashAlgorithm === undefined || mgf1HashAlgorithm === traits.hash) &&
    (saltLength === undefined || saltLength <= traits.digestBytes)
  )
}

/** For messages: what a key is, without any of its material. */
export function describeKey(key: KeyObject): string {
  if (key.type === 'secret') return `a secret of ${key.symmetricKeySize} bytes`
  const { modulusLength, namedCurve } = detailsOf(key)
  const type = key.asymmetricKeyType ?? 'unknown'
  if (modulusLength !== undefined) return `a key of type ${type} with ${modulusLength} bits`
  return `a key of type ${type}${namedCurve === undefined ? '' : ` on the curve ${namedCurve}`}`
}
