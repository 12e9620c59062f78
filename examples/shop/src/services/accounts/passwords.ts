import { randomBytes, type ScryptOptions, scrypt, scryptSync, timingSafeEqual } from 'node:crypto'

/** What a guess costs: OWASP's advice for scrypt with 16 MiB. */
const COST: ScryptOptions = { N: 2 ** 14, r: 8, p: 5, maxmem: 64 * 2 ** 20 }
const BYTES = 32

/** A password as it is stored. Every one has a salt of its own, so that no two can be compared or guessed together. */
export interface HashedPassword {
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

/** Takes the time of a guess; for the start of a process. */
export function hashPassword(password: string): HashedPassword {
  const salt = randomBytes(16)
  return { salt, hash: scryptSync(password, salt, BYTES, COST) }
}

/** @param stored undefined when there is no such customer: it takes as long, so that nobody learns who has an account */
export function isPassword(password: string, stored: HashedPassword | undefined): Promise<boolean> {
  return new Promise((resolve, reject) => {
    scrypt(password, stored?.salt ?? NOBODY, BYTES, COST, (error, hash) => {
      if (error !== null) reject(error)
      else resolve(stored !== undefined && timingSafeEqual(hash, stored.hash))
    })
  })
}

const NOBODY = randomBytes(16)
