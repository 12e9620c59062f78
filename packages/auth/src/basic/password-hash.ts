/** A hash of a password, its form and cost checked. */
export type PasswordHash = BcryptHash | Argon2Hash | ScryptHash

export interface BcryptHash {
  readonly kind: 'bcrypt'
  readonly text: string
}

export interface Argon2Hash {
  readonly kind: 'argon2'
  readonly text: string
}

export interface ScryptHash {
  readonly kind: 'scrypt'
  readonly text: string
  /** CPU and memory cost, a power of two (RFC 7914 §2). */
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  readonly salt: Buffer
  readonly digest: Buffer
}

/** Why a hash is not used, and what to do. Never holds the hash. */
export interface HashFault {
  readonly fault: string
  readonly cure: string
}

const MAX_BCRYPT_COST = 15
const MAX_ARGON2_KIB = 1_048_576
const MAX_ARGON2_PASSES = 64
const MAX_LANES = 16
const MAX_SCRYPT_BYTES = 256 * 1024 * 1024

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const ARGON2 =
  /^\$argon2(?:id|i|d)(?:\$v=(?:16|19))?\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
const SCRYPT =
  /^\$scrypt\$ln=([1-9]\d?),r=([1-9]\d{0,4}),p=([1-9]\d{0,4})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

const CURE = 'make one with hashPassword(password), or with htpasswd -nB'

/** Forms of htpasswd files that are refused, each for its reason. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^\{SHA\}/i, 'a SHA-1 hash without salt, of which billions are tried a second'],
  [/^\{[A-Z0-9-]+\}/i, 'a hash of an LDAP kind, which is not known here'],
  [/^\$apr1\$|^\$1\$/, 'an MD5 hash, of which millions are tried a second'],
  [/^\$[56]\$/, 'a SHA-2 crypt hash, which is not known here'],
  [/^\$2[^aby]?\$|^\$2[aby]\$/, 'not a bcrypt hash as it should be'],
  [/^\$argon2/, 'not an Argon2 hash as it should be'],
  [/^\$scrypt\$|^\$7\$/, 'not a scrypt hash as it should be ($scrypt$ln=15,r=8,p=1$salt$hash)'],
]

/**
 * Reads a hash: bcrypt (`$2a$`, `$2b$`, `$2y$`), Argon2 (`$argon2id$`, `$argon2i$`, `$argon2d$`) or scrypt (`$scrypt$`, the
 * PHC string format). A hash whose check would take more than this process can bear is refused now, since otherwise each
 * request could ask for it.
 */
export function readPasswordHash(text: unknown): PasswordHash | HashFault {
  if (typeof text !== 'string') return { fault: 'not the hash of a password', cure: CURE }
  const bcrypt = BCRYPT.exec(text)
  if (bcrypt !== null) return readBcrypt(text, Number(bcrypt[1]))
  const argon2 = ARGON2.exec(text)
  if (argon2 !== null) return readArgon2(text, Number(argon2[1]), Number(argon2[2]), Number(argon2[3]))
  const scrypt = SCRYPT.exec(text)
  if (scrypt !== null) return readScrypt(text, scrypt)
  const known = REFUSED.find(([form]) => form.test(text))
  // What looks like nothing known is a password in plain text, or DES crypt, whose 13 characters look like one.
  return { fault: known?.[1] ?? 'a password in plain text, or a hash of no known kind', cure: CURE }
}

/** True when a hash was refused. */
export function isHashFault(read: PasswordHash | HashFault): read is HashFault {
  return 'fault' in read
}

function readBcrypt(text: string, cost: number): PasswordHash | HashFault {
  if (cost < 4 || cost > 31) return { fault: 'not a bcrypt hash as it should be', cure: CURE }
  if (cost > MAX_BCRYPT_COST) return costly(`a bcrypt cost of ${cost}`, `at most ${MAX_BCRYPT_COST}`)
  return { kind: 'bcrypt', text }
}

function readArgon2(text: string, kib: number, passes: number, lanes: number): PasswordHash | HashFault {
  if (kib > MAX_ARGON2_KIB)
    return costly(`${kib} KiB of memory for Argon2`, `at most ${MAX_ARGON2_KIB}, which is 1 GiB`)
  if (passes > MAX_ARGON2_PASSES) return costly(`${passes} passes of Argon2`, `at most ${MAX_ARGON2_PASSES}`)
  if (lanes > MAX_LANES) return costly(`${lanes} lanes of Argon2`, `at most ${MAX_LANES}`)
  // RFC 9106 §3.1: eight blocks a lane at least.
  if (kib < 8 * lanes) return { fault: 'not an Argon2 hash as it should be', cure: CURE }
  return { kind: 'argon2', text }
}

function readScrypt(text: string, parts: RegExpExecArray): PasswordHash | HashFault {
  const [cost, blockSize, parallelization] = [2 ** Number(parts[1]), Number(parts[2]), Number(parts[3])]
  if (128 * cost * blockSize > MAX_SCRYPT_BYTES) {
    return costly(`${(128 * cost * blockSize) / 1024 ** 2} MiB of memory for scrypt`, 'at most 256 MiB')
  }
  if (parallelization > MAX_LANES) return costly(`a parallelization of ${parallelization}`, `at most ${MAX_LANES}`)
  const salt = Buffer.from(parts[4]!, 'base64')
  const digest = Buffer.from(parts[5]!, 'base64')
  return { kind: 'scrypt', text, cost, blockSize, parallelization, salt, digest }
}

function costly(what: string, most: string): HashFault {
  return { fault: `${what}, ${most} is taken: each request could ask for that`, cure: CURE }
}
