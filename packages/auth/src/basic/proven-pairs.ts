import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { Clock } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import type { BasicCredentials } from './credentials.ts'

interface Proof<Value> {
  readonly username: string
  readonly untilMs: number
  readonly value: Value
}

/**
 * Pairs of name and password that were good not long ago, so that not each request costs a slow hash. No password is kept,
 * nor anything that it could be guessed from elsewhere: a pair is known by an HMAC under a key that only this process has. The
 * stored hash is part of it, so that with another password of the user no old pair fits any longer.
 */
export class ProvenPairs<Value> {
  readonly #key: KeyObject = createSecretKey(randomBytes(32))
  readonly #cacheMs: number
  readonly #clock: Clock
  readonly #proofs: LRUCache<string, Proof<Value>>
  #epoch = 0

  constructor(cacheMs: number, maxEntries: number, clock: Clock) {
    this.#cacheMs = cacheMs
    this.#clock = clock
    this.#proofs = new LRUCache({ max: maxEntries })
  }

  /** @param hash the stored one, empty where there is none */
  markOf({ username, password }: BasicCredentials, hash: string): string {
    // No part holds a NUL, and a name no colon: no two triples make one text.
    return createHmac('sha256', this.#key).update(`${username}:${password}\0${hash}`).digest('base64url')
  }

  find(mark: string): Value | undefined {
    const proof = this.#proofs.get(mark)
    if (proof === undefined) return undefined
    if (this.#clock.now() < proof.untilMs) return proof.value
    this.#proofs.delete(mark)
    return undefined
  }

  /** Changes with each {@link forget}: read before a check begins, handed in when it is done. */
  get epoch(): number {
    return this.#epoch
  }

  /** Remembers a pair, unless something was forgotten while it was being checked. */
  add(mark: string, username: string, value: Value, epoch: number): void {
    if (this.#cacheMs === 0 || epoch !== this.#epoch) return
    this.#proofs.set(mark, { username, untilMs: this.#clock.now() + this.#cacheMs, value })
  }

  /** Drops what is known of a user. Looks through all, for what happens rarely. */
  forget(username: string): void {
    this.#epoch += 1
    for (const [mark, proof] of this.#proofs.entries()) {
      if (proof.username === username) this.#proofs.delete(mark)
    }
  }

  clear(): void {
    this.#epoch += 1
    this.#proofs.clear()
  }
}
