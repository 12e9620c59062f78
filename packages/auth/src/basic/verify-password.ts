import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { createRequire } from 'node:module'
import type { PasswordHash, ScryptHash } from './password-hash.ts'

type Argon2 = typeof import('@node-rs/argon2')
type Bcrypt = typeof import('@node-rs/bcrypt')

const require = createRequire(import.meta.url)

/** bcrypt reads no more of a password: behind that, anything would fit. */
const BCRYPT_BYTES = 72

/** Loads what hashes of a kind need, which only tables with such hashes do. @throws when it cannot be loaded */
export function prepare(kind: PasswordHash['kind']): void {
  if (kind === 'argon2') argon2()
  else if (kind === 'bcrypt') bcrypt()
}

/**
 * True when a password is the one of a hash. The work is done in threads of libuv's pool and is the same for a wrong one.
 * A password of more than 72 bytes never is the one of a bcrypt hash, which would not tell it from its beginning.
 */
export async function verifyPassword(hash: PasswordHash, password: string): Promise<boolean> {
  if (hash.kind === 'argon2') return argon2().verify(hash.text, password)
  if (hash.kind === 'scrypt') return timingSafeEqual(await scryptOf(hash, password), hash.digest)
  const fits = await bcrypt().verify(password, hash.text)
  return fits && Buffer.byteLength(password) <= BCRYPT_BYTES
}

/**
 * Makes the hash of a password for `basic({ users })`: Argon2id with 19 MiB and two passes, as OWASP's Password Storage Cheat
 * Sheet has it, and a salt of its own.
 *
 * @throws TypeError when it is no text, or an empty one
 */
export async function hashPassword(password: string): Promise<string> {
  if (typeof password !== 'string' || password === '') throw new TypeError('hashPassword(): not a password')
  return argon2().hash(password, {
    algorithm: ARGON2ID,
    memoryCost: 19_456,
    timeCost: 2,
    parallelism: 1,
    outputLen: 32,
    salt: randomBytes(16),
  })
}

/** `Algorithm.Argon2id`, a const enum that is no value in a module of its own. */
const ARGON2ID = 2

function argon2(): Argon2 {
  return require('@node-rs/argon2') as Argon2
}

function bcrypt(): Bcrypt {
  return require('@node-rs/bcrypt') as Bcrypt
}

function scryptOf(hash: ScryptHash, password: string): Promise<Buffer> {
  const { cost: N, blockSize: r, parallelization: p, salt, digest } = hash
  // What RFC 7914 §2 needs, and some for OpenSSL's own; the parameters were bounded when the hash was read.
  const maxmem = 128 * r * (N + p + 2) + 1_048_576
  return new Promise((resolve, reject) => {
    scrypt(password, salt, digest.length, { N, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}
