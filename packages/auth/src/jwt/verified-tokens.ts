import { LRUCache } from 'lru-cache'
import { tokenId } from '../credentials/token-id.ts'
import type { Verified } from '../scheme.ts'
import type { VerificationKey } from './key-set.ts'
import type { JwtIssuer } from './options.ts'

/** A token that was found good, and what may end that before its time. */
export interface VerifiedToken {
  readonly verified: Verified
  readonly issuer: JwtIssuer
  /** The key that it was signed with: once that is dropped, the token holds no longer. */
  readonly key: VerificationKey
  /** Milliseconds since the Unix epoch. */
  readonly expiresAtMs: number
  /** True when the token is bound to a client certificate, which every request has to show (RFC 8705 §3). */
  readonly bound: boolean
  /** Until when, in milliseconds since the Unix epoch, it need not be asked whether the token is revoked; Infinity where nobody is asked. */
  /** See {@link VerifiedTokens.era}. */
  readonly era: number
  checkedUntilMs: number
  revoked: boolean
}

/** Roughly what an entry takes beside the claims, in bytes. */
const ENTRY_BYTES = 700
/** Parsed claims take about this much for each byte of a token. */
const BYTES_OF_TOKEN_BYTE = 3

/**
 * The tokens that were verified, so that the same one need not be verified again: bounded in bytes, the least recently used
 * go first. The key is the SHA-256 of the whole token: the table holds nothing that a thief of memory could show.
 */
export class VerifiedTokens {
  readonly #tokens: LRUCache<string, VerifiedToken> | undefined
  #era = 0

  /** @param maxBytes 0: nothing is remembered */
  constructor(maxBytes: number) {
    if (maxBytes > 0) this.#tokens = new LRUCache({ maxSize: maxBytes })
  }

  /** How many are remembered. */
  get size(): number {
    return this.#tokens?.size ?? 0
  }

  /** Whether an entry that was found before still holds, without a look into the table. */
  isHeld(entry: VerifiedToken, nowMs: number): boolean {
    return entry.expiresAtMs > nowMs && entry.key.active && entry.era === this.#era
  }

  /** Of entries that are made now; ends with {@link clear}. */
  get era(): number {
    return this.#era
  }

  /** The entry of a token, if it still holds. */
  get(token: string, nowMs: number): VerifiedToken | undefined {
    const tokens = this.#tokens
    if (tokens === undefined) return undefined
    const id = tokenId(token)
    const entry = tokens.get(id)
    if (entry === undefined || this.isHeld(entry, nowMs)) return entry
    tokens.delete(id)
    return undefined
  }

  set(token: string, entry: VerifiedToken): void {
    this.#tokens?.set(tokenId(token), entry, { size: ENTRY_BYTES + token.length * BYTES_OF_TOKEN_BYTE })
  }

  clear(): void {
    this.#era++
    this.#tokens?.clear()
  }
}
