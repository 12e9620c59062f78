import { hash, randomBytes } from 'node:crypto'
import { ConfigError } from '@postern/contracts'

/** A new key: {@link key} for whoever will use it, the others for your table. */
export interface GeneratedApiKey {
  /** Told to its holder once, and stored nowhere. */
  readonly key: string
  /** {@link hashApiKey} of it; what is stored. */
  readonly hash: string
  /** A name to speak of it: in tables, logs and events. Tells nothing of the key. */
  readonly id: string
}

/** Options of {@link generateApiKey}. */
export interface GenerateApiKeyOptions {
  /**
   * What the key begins with, up to 64 letters, digits, `_`, `-`, `.`, such as `acme_live_`: people and secret scanners
   * see by it whose key they have found, and the gateway refuses others without looking. @default ''
   */
  readonly prefix?: string
}

/** What a prefix is made of: characters that are safe in headers, queries and shells alike. */
export const PREFIX: RegExp = /^[A-Za-z0-9_.-]{0,64}$/

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/**
 * Makes a new API key: the prefix and 256 random bits as 43 letters and digits, which a double click selects whole.
 *
 * @throws ConfigError when the prefix cannot be part of a key
 */
export function generateApiKey(options: GenerateApiKeyOptions = {}): GeneratedApiKey {
  const prefix = options.prefix ?? ''
  if (typeof prefix !== 'string' || !PREFIX.test(prefix)) {
    const message = 'not a prefix of at most 64 letters, digits, "_", "-" and "."'
    throw new ConfigError('generateApiKey()', [{ path: 'prefix', message, received: prefix }])
  }
  const key = prefix + base62(randomBytes(32), 43)
  return { key, hash: hashApiKey(key), id: `key_${base62(randomBytes(12), 17)}` }
}

/**
 * The SHA-256 of a whole API key, prefix included, as 64 hexadecimal characters: what is stored in its place. That is enough
 * for a random key, which nobody can guess from it. It is not enough for a password: use `hashPassword()`.
 */
export function hashApiKey(key: string): string {
  return hash('sha256', key, 'hex')
}

function base62(bytes: Buffer, length: number): string {
  let rest = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (; rest > 0n; rest /= 62n) text = ALPHABET[Number(rest % 62n)]! + text
  return text.padStart(length, '0')
}
