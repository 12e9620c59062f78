import { type BasicOptions, resolveBasicOptions } from '../../src/basic/options.ts'
import { BasicScheme } from '../../src/basic/scheme.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

export interface Held {
  readonly scheme: BasicScheme
  readonly clock: ManualClock
}

export function basics(options: BasicOptions): Held {
  const clock = manualClock()
  return { scheme: new BasicScheme(resolveBasicOptions({ clock, ...options })), clock }
}

/** The token of `Authorization: Basic`. */
export function tokenOf(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`).toString('base64')
}

/** The header that a client with this name and password sends. */
export function asUser(username: string, password: string): readonly string[] {
  return ['authorization', `Basic ${tokenOf(username, password)}`]
}

// Hashes of low cost, so that tests are quick. The first is of the test vectors of crypt_blowfish ("U*U"), the others of
// passlib and of the Argon2 reference implementation ("password").

export const BCRYPT_UXU = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
export const SCRYPT_PASSWORD = '$scrypt$ln=8,r=8,p=1$WKs1xljLudd6z9kbY0wpJQ$yCR4iDZYDKv+iEJj6yHY0lv/epnfB6f/w1EbXrsJOuQ'
export const ARGON2I_PASSWORD = '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA'
export const ARGON2ID_PASSWORD =
  '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
