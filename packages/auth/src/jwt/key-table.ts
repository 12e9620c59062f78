import { isSameKey } from './key-material.ts'
import type { JwtAlgorithm, VerificationKey } from './key-set.ts'

/** A token is tried with so many keys at most: a client must not choose how much work it makes. */
export const MAX_CANDIDATES = 4
const NONE: readonly VerificationKey[] = Object.freeze([])

/** The keys of one algorithm. */
interface Shelf {
  readonly byKid: ReadonlyMap<string, readonly VerificationKey[]>
  /** Keys to which their issuer gives no `kid`. */
  readonly withoutKid: readonly VerificationKey[]
  readonly all: readonly VerificationKey[]
}

/** What {@link KeyTable.find} finds. */
export interface Found {
  readonly keys: readonly VerificationKey[]
  /** False when no key has the `kid` that was asked for, and the keys are merely those that have none. */
  readonly isNamed: boolean
}

const NOT_FOUND: Found = Object.freeze({ keys: NONE, isNamed: false })

/** The keys of one key set, found by what a token says of its key. Never changes; a new answer makes a new table. */
export class KeyTable {
  readonly keys: readonly VerificationKey[]
  readonly #shelves = new Map<JwtAlgorithm, Shelf>()

  /** @param keys no `kid` twice for an algorithm */
  constructor(keys: readonly VerificationKey[], algorithms: readonly JwtAlgorithm[]) {
    this.keys = keys
    for (const algorithm of algorithms) this.#shelves.set(algorithm, shelfOf(keys, algorithm))
  }

  /**
   * The keys that may have signed a token, at most four. Its `kid` is compared with those of the keys and with nothing else.
   * A token without one is tried with all keys of its algorithm, where these are few enough.
   */
  find(kid: string | undefined, algorithm: JwtAlgorithm): Found {
    const shelf = this.#shelves.get(algorithm)
    if (shelf === undefined) return NOT_FOUND
    if (kid === undefined) return { keys: shelf.all, isNamed: shelf.all.length > 0 }
    const named = shelf.byKid.get(kid)
    return named === undefined ? { keys: shelf.withoutKid, isNamed: false } : { keys: named, isNamed: true }
  }
}

function shelfOf(keys: readonly VerificationKey[], algorithm: JwtAlgorithm): Shelf {
  const all = keys.filter((key) => key.algorithms.has(algorithm))
  const withoutKid = few(all.filter((key) => key.kid === undefined))
  const byKid = new Map<string, readonly VerificationKey[]>()
  for (const key of all) if (key.kid !== undefined) byKid.set(key.kid, [key])
  return { byKid, withoutKid, all: all.length > MAX_CANDIDATES ? withoutKid : all }
}

/** Trying some of many would let a token pass or fail by the order in which the keys are written. */
function few(keys: readonly VerificationKey[]): readonly VerificationKey[] {
  return keys.length > MAX_CANDIDATES ? NONE : keys
}

/**
 * The keys of a new answer, where those that were known before are the same objects as before: tokens that were verified
 * with them stay verified. Those that the answer does not hold any longer are switched off, and with them their tokens;
 * one that comes back is switched on again.
 */
export function succeed(before: readonly VerificationKey[], after: readonly VerificationKey[]): VerificationKey[] {
  const left = new Set(before)
  const keys = after.map((key) => {
    for (const old of left) {
      if (!isSame(old, key)) continue
      left.delete(old)
      return old
    }
    return key
  })
  for (const key of keys) key.active = true
  for (const key of left) key.active = false
  return keys
}

/** The same `kid` with other material is another key, and so is the same material for other algorithms. */
function isSame(a: VerificationKey, b: VerificationKey): boolean {
  return a.kid === b.kid && isSameKey(a, b)
}
