import { createPublicKey, createSecretKey, type KeyObject, X509Certificate } from 'node:crypto'
import { describeKey, fits, traitsOf } from './algorithms.ts'
import { MAX_KID_LENGTH } from './compact-token.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm, type VerificationKey } from './key-set.ts'
import { weaknessOf } from './key-weakness.ts'

// Keys out of what an operator configures. Each function throws an Error whose message goes on from the name of the option: "is
// a private key; …". No message holds anything of the key.

/** A PEM text is a kilobyte or two; nothing that is this long is one. */
const MAX_PEM_BYTES = 65_536

/**
 * A key for HS256, HS384 and HS512.
 *
 * @param secret a text is taken by its UTF-8 bytes; at least as long as the hash of each HMAC algorithm in the list (RFC 7518 §3.2)
 * @param algorithms the configured list; at least one of them must be an HMAC algorithm
 * @param kid the tokens' `kid`; undefined: the key is tried for tokens of any `kid` that no other key has
 * @throws Error
 */
export function keyFromSecret(
  secret: string | Uint8Array,
  algorithms: readonly JwtAlgorithm[],
  kid?: string,
): VerificationKey {
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : Buffer.from(secret)
  if (isPublicMaterial(bytes))
    throw new Error(
      'is a key or certificate, not a secret: as the secret of an HMAC, a public key lets everybody sign; give it as a public key, with the algorithms of its type',
    )
  const own = algorithms.filter((algorithm) => traitsOf(algorithm).kind === 'hmac')
  if (own.length === 0)
    throw new Error(`is a secret, which verifies HS256, HS384 and HS512 only, and algorithms are ${listed(algorithms)}`)
  const least = Math.max(...own.map((algorithm) => traitsOf(algorithm).digestBytes))
  if (bytes.length < least)
    throw new Error(
      `has ${bytes.length} bytes, and ${listed(own)} need${own.length === 1 ? 's' : ''} at least ${least} (RFC 7518 §3.2)`,
    )
  if (bytes.every((byte) => byte === bytes[0])) throw new Error('is one byte over and over, not a secret')
  return keyOf(createSecretKey(bytes), own, kid)
}

/**
 * A public key in PEM: a SubjectPublicKeyInfo (`PUBLIC KEY`), a PKCS#1 key (`RSA PUBLIC KEY`) or an X.509 certificate, of which only the
 * key is used: neither its dates nor its issuer are looked at.
 *
 * @param pem exactly one block
 * @param algorithms the configured list; those that fit the key are used, at least one must
 * @param kid see {@link keyFromSecret}
 * @throws Error
 */
export function keyFromPem(
  pem: string | Uint8Array,
  algorithms: readonly JwtAlgorithm[],
  kid?: string,
): VerificationKey {
  if (pem.length > MAX_PEM_BYTES) throw new Error(`is longer than ${MAX_PEM_BYTES} bytes`)
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1')
  const labels = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,64})-----/g)].map((match) => match[1]!)
  if (labels.some((label) => label.endsWith('PRIVATE KEY')))
    throw new Error('is a private key; give the public one only (openssl pkey -in private.pem -pubout)')
  const [label] = labels
  if (label === undefined) throw new Error('is not PEM: it has no line -----BEGIN PUBLIC KEY-----')
  if (labels.length > 1) throw new Error(`holds ${labels.length} PEM blocks; give each key by itself`)
  return keyFromKeyObject(publicKeyOf(text, label), algorithms, kid)
}

function publicKeyOf(pem: string, label: string): KeyObject {
  try {
    if (label === 'CERTIFICATE') return new X509Certificate(pem).publicKey
    if (label === 'PUBLIC KEY' || label === 'RSA PUBLIC KEY') return createPublicKey(pem)
  } catch {
    // What OpenSSL says ("DECODER routines::unsupported") helps nobody.
    throw new Error(`is a PEM block "${label}" that cannot be read, or holds a key of an unknown type`)
  }
  throw new Error(`is a PEM block "${label}"; wanted are PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE`)
}

/**
 * A key that node:crypto has made: a public one, or a secret.
 *
 * @param algorithms see {@link keyFromPem}
 * @param kid see {@link keyFromSecret}
 * @throws Error
 */
export function keyFromKeyObject(key: KeyObject, algorithms: readonly JwtAlgorithm[], kid?: string): VerificationKey {
  if (key.type === 'private') throw new Error('is a private key; give the public one only: createPublicKey(key)')
  if (key.type === 'secret') return keyFromSecret(key.export(), algorithms, kid)
  const own = algorithms.filter((algorithm) => fits(algorithm, key))
  if (own.length === 0)
    throw new Error(`is ${describeKey(key)}, which fits none of the algorithms ${listed(algorithms)}`)
  const weakness = weaknessOf(key)
  if (weakness !== undefined) throw new Error(`is not safe: ${weakness}`)
  return keyOf(key, own, kid)
}

function keyOf(key: KeyObject, algorithms: readonly JwtAlgorithm[], kid: string | undefined): VerificationKey {
  if (kid !== undefined && !isKid(kid))
    throw new Error(`has a kid that is not a text of 1 to ${MAX_KID_LENGTH} characters`)
  return { kid, key, algorithms: new Set(algorithms), active: true }
}

/** Whether it can be the id of a key. */
export function isKid(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_KID_LENGTH
}

/** Whether two keys could both be meant by a token of one `kid` and `alg`. */
export function haveCommonAlgorithm(a: VerificationKey, b: VerificationKey): boolean {
  for (const algorithm of a.algorithms) if (b.algorithms.has(algorithm)) return true
  return false
}

/** Whether two keys verify the same signatures. */
export function isSameKey(a: VerificationKey, b: VerificationKey): boolean {
  if (a.algorithms.size !== b.algorithms.size || !a.key.equals(b.key)) return false
  for (const algorithm of a.algorithms) if (!b.algorithms.has(algorithm)) return false
  return true
}

/** Public keys in the forms that people have handed to HMAC by mistake: PEM, SSH, JWK, DER. Private ones in these forms as well. */
function isPublicMaterial(bytes: Buffer): boolean {
  const text = bytes.toString('latin1')
  if (text.includes('-----BEGIN') || /^\s*(?:ssh-|ecdsa-sha2-)/.test(text)) return true
  if (/^\s*\{/.test(text) && text.includes('"kty"')) return true
  // A SEQUENCE, as all keys in DER are. A random secret begins so once in 256 times, and then is none.
  return bytes[0] === 0x30 && (canBeRead(bytes, 'spki') || canBeRead(bytes, 'pkcs1') || isCertificate(bytes))
}

function canBeRead(der: Buffer, type: 'spki' | 'pkcs1'): boolean {
  try {
    createPublicKey({ key: der, format: 'der', type })
    return true
  } catch {
    return false
  }
}

function isCertificate(der: Buffer): boolean {
  try {
    new X509Certificate(der)
    return true
  } catch {
    return false
  }
}

/** For messages; a list may hold all thirteen. */
export function listed(algorithms: readonly JwtAlgorithm[]): string {
  return algorithms.length === JWT_ALGORITHMS.length ? 'known' : algorithms.join(', ')
}
