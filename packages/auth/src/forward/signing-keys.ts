import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  KeyObject,
  randomUUID,
  sign,
  verify,
} from 'node:crypto'
import type { JwtAlgorithm } from '../jwt/key-set.ts'

/** Algorithms of internal tokens: only such as a service can verify without being able to sign. */
export type SigningAlgorithm = Exclude<JwtAlgorithm, 'HS256' | 'HS384' | 'HS512'>

/** A JSON Web Key (RFC 7517). */
export type PrivateJwk = Readonly<Record<string, unknown>>

/** A key that internal tokens are signed with. */
export interface SigningKey {
  /** Names it in tokens and in the published set; 1 to 256 visible ASCII characters, another one for every key ever used. */
  readonly kid: string
  /** PEM (PKCS #8, PKCS #1 or SEC 1, not encrypted), a `KeyObject`, or a JWK. RSA keys have 2,048 to 8,192 bits. */
  readonly privateKey: string | Buffer | KeyObject | PrivateJwk
  readonly algorithm: SigningAlgorithm
}

/** A signing key that has passed every check. */
export interface ReadySigningKey {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  readonly privateKey: KeyObject
  /** As it is published; public members alone. */
  readonly publicJwk: Readonly<Record<string, unknown>>
}

interface KeyKind {
  readonly type: 'rsa' | 'ec' | 'ed25519'
  /** Of EC keys, as OpenSSL calls it. */
  readonly curve?: string
  readonly words: string
}

const RSA: KeyKind = { type: 'rsa', words: 'an RSA key' }

/** RFC 7518 §3.1 and RFC 8037 §3.1: which keys an algorithm takes. */
export const SIGNING_ALGORITHMS: Readonly<Record<SigningAlgorithm, KeyKind>> = {
  RS256: RSA,
  RS384: RSA,
  RS512: RSA,
  PS256: RSA,
  PS384: RSA,
  PS512: RSA,
  ES256: { type: 'ec', curve: 'prime256v1', words: 'an EC key on P-256' },
  ES384: { type: 'ec', curve: 'secp384r1', words: 'an EC key on P-384' },
  ES512: { type: 'ec', curve: 'secp521r1', words: 'an EC key on P-521' },
  EdDSA: { type: 'ed25519', words: 'an Ed25519 key' },
  Ed25519: { type: 'ed25519', words: 'an Ed25519 key' },
}

/**
 * Reads and checks a signing key.
 *
 * @returns the key, or what is wrong with its `privateKey`, in words that hold nothing of it
 */
export function readSigningKey({ kid, privateKey: given, algorithm }: SigningKey): ReadySigningKey | string {
  const privateKey = privateKeyOf(given)
  if (privateKey === undefined) return 'not a private key that can be read'
  const { type, curve, words } = SIGNING_ALGORITHMS[algorithm]
  const { modulusLength = 0, namedCurve } = privateKey.asymmetricKeyDetails ?? {}
  if (privateKey.asymmetricKeyType !== type || (curve !== undefined && namedCurve !== curve)) {
    return `not ${words}, which ${algorithm} signs with`
  }
  if (type === 'rsa' && (modulusLength < 2_048 || modulusLength > 8_192)) {
    return `an RSA key of ${modulusLength} bits, not of 2048 to 8192`
  }
  const publicKey = createPublicKey(privateKey)
  if (!belongTogether(privateKey, publicKey)) return 'its private and its public members do not belong together'
  return ready(kid, algorithm, privateKey, publicKey)
}

/** A key of this process alone: what it has signed cannot be verified with the key of another one. */
export function generateSigningKey(): ReadySigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return ready(randomUUID(), 'ES256', privateKey, publicKey)
}

function ready(kid: string, algorithm: SigningAlgorithm, privateKey: KeyObject, publicKey: KeyObject): ReadySigningKey {
  const publicJwk = Object.freeze({ ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' })
  return Object.freeze({ kid, algorithm, privateKey, publicJwk })
}

function privateKeyOf(given: SigningKey['privateKey']): KeyObject | undefined {
  try {
    if (given instanceof KeyObject) return given.type === 'private' ? given : undefined
    if (typeof given === 'string' || Buffer.isBuffer(given)) return createPrivateKey(given)
    return createPrivateKey({ key: given, format: 'jwk' })
  } catch {
    // OpenSSL's words may hold parts of what it could not read.
    return undefined
  }
}

/** A JWK says both halves, and nobody checks that they are of one key until an upstream refuses every token. */
function belongTogether(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const probe = Buffer.from('postern')
  const digest = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  try {
    return verify(digest, probe, publicKey, sign(digest, probe, privateKey))
  } catch {
    return false
  }
}
