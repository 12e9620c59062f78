import { createPublicKey, type KeyObject } from 'node:crypto'
import { MAX_KID_LENGTH } from './compact-token.ts'
import { haveCommonAlgorithm, isKid, isSameKey, keyFromKeyObject, keyFromSecret, listed } from './key-material.ts'
import type { JwtAlgorithm, VerificationKey } from './key-set.ts'

type Members = Readonly<Record<string, unknown>>

/** Members that a public key does not have (RFC 7518 §6.2.2, §6.3.2 and §6.4, RFC 8037 §2). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const

/** Bytes of a coordinate, by curve: never shorter (RFC 7518 §6.2.1.2, RFC 8037 §2). */
const EC_CURVES: ReadonlyMap<unknown, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
])
const OKP_CURVES: ReadonlyMap<unknown, number> = new Map([
  ['Ed25519', 32],
  ['Ed448', 57],
])

/**
 * A key of the configuration in the form of RFC 7517: a public one, or a secret (`oct`).
 *
 * @param algorithms the configured list; those that fit the key, and its own `alg`, are used, at least one must
 * @param kid instead of the key's own
 * @throws Error whose message goes on from the name of the option, and holds nothing of the key
 */
export function keyFromJwk(jwk: unknown, algorithms: readonly JwtAlgorithm[], kid?: string): VerificationKey {
  const members = membersOf(jwk)
  if (members.kty !== 'oct') return publicKeyFromJwk(members, algorithms, kid)
  const rest = PRIVATE_MEMBERS.find((name) => name !== 'k' && Object.hasOwn(members, name))
  if (rest !== undefined) throw new Error(`is a secret with a member "${rest}" of a private key`)
  checkPurpose(members)
  return keyFromSecret(bytesOf(members, 'k'), ofOwnAlgorithm(members, algorithms), kid ?? kidOf(members))
}

/** What {@link keysFromJwks} finds. */
export interface JwksKeys {
  readonly keys: VerificationKey[]
  /** Why keys of the document are not used, one line each. Keys for encryption are not spoken of. */
  readonly refused: string[]
}

/**
 * The keys of a JSON Web Key Set (RFC 7517 §5) that the algorithms can use. Others are left out, each with its reason: one unfit key
 * does not take the others with it.
 *
 * Two different keys of one `kid` that could verify the same token are both left out: which is meant cannot be told. A key with
 * private members is left out, since everybody can sign with it by now; so is a secret.
 *
 * @param document parsed JSON, of whatever shape
 * @param algorithms the configured list
 * @param maxKeys most keys of all kinds that the document may hold
 * @throws Error when it is no key set, or holds more keys than that
 */
export function keysFromJwks(document: unknown, algorithms: readonly JwtAlgorithm[], maxKeys: number): JwksKeys {
  const entries = isObject(document) ? document.keys : undefined
  if (!Array.isArray(entries)) throw new Error('is not a JSON Web Key Set: it has no list "keys"')
  if (entries.length > maxKeys) throw new Error(`holds ${entries.length} keys, at most ${maxKeys} are taken`)
  const keys: VerificationKey[] = []
  const refused: string[] = []
  for (const [index, entry] of entries.entries()) {
    if (isObject(entry) && entry.use === 'enc') continue
    try {
      keys.push(publicKeyFromJwk(membersOf(entry), algorithms))
    } catch (error) {
      refused.push(`${nameOf(index, entry)} ${(error as Error).message}`)
    }
  }
  return withoutAmbiguous(keys, refused)
}

function publicKeyFromJwk(members: Members, algorithms: readonly JwtAlgorithm[], kid?: string): VerificationKey {
  if (members.kty === 'oct') throw new Error('is a secret that is being published: whoever reads it can sign')
  const secret = PRIVATE_MEMBERS.find((name) => Object.hasOwn(members, name))
  if (secret !== undefined)
    throw new Error(
      `has the member "${secret}" of a private key: a private key is being published, or given where the public one is enough`,
    )
  checkPurpose(members)
  return keyFromKeyObject(publicKeyOf(members), ofOwnAlgorithm(members, algorithms), kid ?? kidOf(members))
}

function publicKeyOf(members: Members): KeyObject {
  const { kty, crv } = members
  switch (kty) {
    case 'RSA':
      return imported({ kty, n: textOf(members, 'n'), e: textOf(members, 'e') })
    case 'EC': {
      const length = EC_CURVES.get(crv)
      if (length === undefined) throw new Error('is on a curve other than P-256, P-384 and P-521')
      return imported({ kty, crv, x: textOf(members, 'x', length), y: textOf(members, 'y', length) })
    }
    case 'OKP': {
      const length = OKP_CURVES.get(crv)
      if (length === undefined) throw new Error('is on a curve other than Ed25519 and Ed448')
      return imported({ kty, crv, x: textOf(members, 'x', length) })
    }
    default:
      throw new Error('has a kty other than RSA, EC and OKP')
  }
}

/** OpenSSL refuses points that are not on their curve. */
function imported(key: { readonly kty: string; readonly [member: string]: unknown }): KeyObject {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch {
    throw new Error(`is no ${key.kty} key: its numbers do not make one`)
  }
}

/** RFC 7517 §4.2 and §4.3: what the key is for. */
function checkPurpose(members: Members): void {
  const { use, key_ops: operations } = members
  if (use !== undefined && use !== 'sig') throw new Error('is not for signatures by its "use"')
  if (operations === undefined) return
  if (!Array.isArray(operations) || !operations.includes('verify'))
    throw new Error('is not for verifying by its "key_ops"')
}

/** RFC 7517 §4.4: a key that names its algorithm is used with that one only. */
function ofOwnAlgorithm(members: Members, algorithms: readonly JwtAlgorithm[]): readonly JwtAlgorithm[] {
  const { alg } = members
  if (alg === undefined) return algorithms
  const own = algorithms.filter((each) => each === alg)
  if (own.length === 0) throw new Error(`has an "alg" that is none of the algorithms ${listed(algorithms)}`)
  return own
}

function kidOf(members: Members): string | undefined {
  const { kid } = members
  if (kid === undefined || isKid(kid)) return kid
  throw new Error(`has a kid that is not a text of 1 to ${MAX_KID_LENGTH} characters`)
}

/** A member in canonical base64url; Node's own reader skips what it does not know. */
function textOf(members: Members, name: string, length?: number): string {
  const value = members[name]
  if (typeof value !== 'string' || value === '') throw new Error(`has no "${name}"`)
  const bytes = Buffer.from(value, 'base64url')
  if (bytes.toString('base64url') !== value) throw new Error(`has a "${name}" that is not base64url`)
  if (length !== undefined && bytes.length !== length) throw new Error(`has a "${name}" of other than ${length} bytes`)
  return value
}

function bytesOf(members: Members, name: string): Buffer {
  return Buffer.from(textOf(members, name), 'base64url')
}

function withoutAmbiguous(keys: readonly VerificationKey[], refused: string[]): JwksKeys {
  const kept = keys.filter((key, index) => {
    if (key.kid === undefined) return true
    const rivals = keys.filter((other) => other !== key && other.kid === key.kid && haveCommonAlgorithm(other, key))
    if (rivals.length === 0) return true
    // The same entry written twice is not ambiguous: the first of them stays.
    const isRepeated = rivals.every((other) => isSameKey(other, key))
    if (isRepeated && rivals.every((other) => keys.indexOf(other) > index)) return true
    refused.push(`the key ${quoted(key.kid)} ${isRepeated ? 'is there twice' : 'shares its kid with another one'}`)
    return false
  })
  return { keys: kept, refused }
}

function nameOf(index: number, entry: unknown): string {
  const kid = isObject(entry) ? entry.kid : undefined
  return typeof kid === 'string' ? `the key ${quoted(kid)}` : `the key at ${index}`
}

/** A provider's text, on its way into logs. */
function quoted(kid: string): string {
  return JSON.stringify(kid.length > 64 ? `${kid.slice(0, 64)}…` : kid)
}

function membersOf(jwk: unknown): Members {
  if (!isObject(jwk)) throw new Error('is not a JSON Web Key: not an object')
  return jwk
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
