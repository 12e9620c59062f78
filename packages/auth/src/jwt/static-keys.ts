import { haveCommonAlgorithm } from './key-material.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm, type KeySet, type VerificationKey } from './key-set.ts'

/** A token is tried with so many keys at most: a client must not choose how much work it makes. */
const MAX_CANDIDATES = 4

/** The keys of one algorithm. */
interface Shelf {
  readonly byKid: ReadonlyMap<string, readonly VerificationKey[]>
  /** Keys that the configuration gives no `kid`: they may be meant by any. */
  readonly withoutKid: readonly VerificationKey[]
  readonly all: readonly VerificationKey[]
}

const NONE: readonly VerificationKey[] = Object.freeze([])

/**
 * Keys that stand in the configuration. They never change, and every answer is made ahead.
 *
 * A token's `kid` is compared with those of the keys, and with nothing else. It is only a hint (RFC 7515 §4.1.4): when no key has it, the
 * keys that have no `kid` are tried. A token without `kid` is tried with all keys of its algorithm, when these are few enough.
 */
export class StaticKeys implements KeySet {
  readonly #shelves: ReadonlyMap<JwtAlgorithm, Shelf>

  /**
   * @param keys at most four without a `kid` for an algorithm; no `kid` twice for an algorithm
   * @throws Error whose message goes on from the name of the option
   */
  constructor(keys: readonly VerificationKey[]) {
    checkKids(keys)
    this.#shelves = new Map(JWT_ALGORITHMS.map((algorithm) => [algorithm, shelfOf(keys, algorithm)]))
  }

  keysFor(kid: string | undefined, algorithm: JwtAlgorithm): readonly VerificationKey[] {
    const shelf = this.#shelves.get(algorithm)
    if (shelf === undefined) return NONE
    return kid === undefined ? shelf.all : (shelf.byKid.get(kid) ?? shelf.withoutKid)
  }

  keepFresh(): void {}

  close(): void {}
}

function checkKids(keys: readonly VerificationKey[]): void {
  for (const [index, key] of keys.entries()) {
    if (key.kid === undefined) continue
    const rival = keys.slice(0, index).find((other) => other.kid === key.kid && haveCommonAlgorithm(other, key))
    if (rival !== undefined) throw new Error(`has two keys with the kid ${JSON.stringify(key.kid)}`)
  }
}

function shelfOf(keys: readonly VerificationKey[], algorithm: JwtAlgorithm): Shelf {
  const all = keys.filter((key) => key.algorithms.has(algorithm))
  const withoutKid = all.filter((key) => key.kid === undefined)
  if (withoutKid.length > MAX_CANDIDATES)
    throw new Error(
      `has ${withoutKid.length} keys without a kid for ${algorithm}; at most ${MAX_CANDIDATES} are tried: give each its kid`,
    )
  const named = all.filter((key) => key.kid !== undefined)
  return {
    byKid: new Map(named.map((key) => [key.kid!, [key]])),
    withoutKid,
    // Trying some of many would let a token pass or fail by the order in which the keys are written.
    all: all.length > MAX_CANDIDATES ? withoutKid : all,
  }
}
