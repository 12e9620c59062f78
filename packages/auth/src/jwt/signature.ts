import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { detailsOf, fits, traitsOf } from './algorithms.ts'
import type { JwtAlgorithm } from './key-set.ts'

/**
 * Whether a signature over `signingInput` was made with the counterpart of `key` (RFC 7515 §5.2, RFC 7518 §3, RFC 8037 §3.1).
 *
 * Synchronous: a verification takes less time than handing it to another thread. Never throws; whatever goes wrong is false.
 *
 * @param signingInput the first two parts of the token, ASCII
 */
export function verifySignature(
  algorithm: JwtAlgorithm,
  key: KeyObject,
  signingInput: string,
  signature: Buffer,
): boolean {
  // The key set has chosen by these already; here stands what a fault there must not get past.
  if (!fits(algorithm, key)) return false
  try {
    return isSignedBy(algorithm, key, signingInput, signature)
  } catch {
    return false
  }
}

function isSignedBy(algorithm: JwtAlgorithm, key: KeyObject, signingInput: string, signature: Buffer): boolean {
  const { kind, hash, digestBytes, signatureBytes } = traitsOf(algorithm)
  switch (kind) {
    case 'hmac': {
      const expected = createHmac(hash!, key).update(signingInput, 'latin1').digest()
      return signature.length === expected.length && timingSafeEqual(expected, signature)
    }
    case 'rsa-pkcs1':
      // The key alone: PKCS #1 v1.5 is Node's default for keys of type rsa, which it is, and an object of options costs half
      // as much again as the whole verification.
      return signature.length === modulusBytes(key) && verify(hash, octets(signingInput), key, signature)
    case 'rsa-pss':
      // RFC 7518 §3.5: the salt is as long as the hash, and MGF1 uses the same hash.
      return (
        signature.length === modulusBytes(key) &&
        verify(
          hash,
          octets(signingInput),
          { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: digestBytes },
          signature,
        )
      )
    case 'ecdsa':
      // R and S side by side, each as long as the order of the curve: neither DER nor short forms (RFC 7518 §3.4).
      return (
        signature.length === signatureBytes &&
        isInRange(signature) &&
        verify(hash, octets(signingInput), { key, dsaEncoding: 'ieee-p1363' }, signature)
      )
    case 'eddsa':
      return (
        signature.length === (key.asymmetricKeyType === 'ed25519' ? 64 : 114) &&
        verify(undefined, octets(signingInput), key, signature)
      )
  }
}

/** R and S are never zero. OpenSSL looks for it as well; other libraries have forgotten it (CVE-2022-21449). */
function isInRange(signature: Buffer): boolean {
  const half = signature.length / 2
  return !isZero(signature.subarray(0, half)) && !isZero(signature.subarray(half))
}

function isZero(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}

function modulusBytes(key: KeyObject): number {
  return Math.ceil((detailsOf(key).modulusLength ?? 0) / 8)
}

function octets(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
