import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto'
import { traitsOf } from '../../src/jwt/algorithms.ts'
import type { JwtAlgorithm } from '../../src/jwt/key-set.ts'

// Tokens as an attacker would write them: byte for byte, with whatever header and signature. What good libraries do with good
// claims is made with jose.

export function encode(text: string | Buffer): string {
  return Buffer.from(text as string).toString('base64url')
}

/** A token of JSON texts, so that they may be out of form. */
export function tokenOf(
  header: string | object,
  payload: string | object,
  signature: string | Buffer = 'signed',
): string {
  return `${[header, payload].map((part) => encode(typeof part === 'string' ? part : JSON.stringify(part))).join('.')}.${encode(signature)}`
}

/** A signature that holds, made by node:crypto. */
export function signatureOf(algorithm: JwtAlgorithm, key: KeyObject, input: string): Buffer {
  const { kind, hash, digestBytes } = traitsOf(algorithm)
  const data = Buffer.from(input)
  switch (kind) {
    case 'hmac':
      return createHmac(hash!, key).update(data).digest()
    case 'rsa-pkcs1':
      return sign(hash, data, key)
    case 'rsa-pss':
      return sign(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: digestBytes })
    case 'ecdsa':
      return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })
    case 'eddsa':
      return sign(null, data, key)
  }
}

export interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export function ecPair(namedCurve: 'P-256' | 'P-384' | 'P-521' | 'secp256k1'): Pair {
  return generateKeyPairSync('ec', { namedCurve })
}

let rsa: Pair | undefined

/** One for all tests of a file: making it takes a while. */
export function rsaPair(): Pair {
  rsa ??= generateKeyPairSync('rsa', { modulusLength: 2_048 })
  return rsa
}

export function jwkOf(key: KeyObject, more: object = {}): JsonWebKey {
  return { ...key.export({ format: 'jwk' }), ...more }
}

/** An RSA key of a modulus that nobody has made of primes: enough for what looks at the modulus alone. */
export function rsaOf(modulus: bigint, exponent = 65_537n): KeyObject {
  return createPublicKey({
    key: { kty: 'RSA', n: encode(bytesOf(modulus)), e: encode(bytesOf(exponent)) },
    format: 'jwk',
  })
}

function bytesOf(value: bigint): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}
