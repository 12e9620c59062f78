import { haveCommonAlgorithm } from './key-material.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm, type KeySet, type VerificationKey } from './key-set.ts'
import { KeyTable, MAX_CANDIDATES } from './key-table.ts'

/**
 * Keys that stand in the configuration. They never change, and every answer is made ahead.
 *
 * A token's `kid` is compared with those of the keys, and with nothing else. It is only a hint (RFC 7515 §4.1.4): when no key has it, the
 * keys that have no `kid` are tried. A token without `kid` is tried with all keys of its algorithm, when these are few enough.
 */
export class StaticKeys implements KeySet {
  readonly #table: KeyTable

  /**
   * @param keys at most four without a `kid` for an algorithm; no `kid` twice for an algorithm
   * @throws Error whose message goes on from the name of the option
   */
  constructor(keys: readonly VerificationKey[]) {
    checkKids(keys)
    checkNameless(keys)
    this.#table = new KeyTable(keys, JWT_ALGORITHMS)
  }

  keysFor(kid: string | undefined, algorithm: JwtAlgorithm): readonly VerificationKey[] {
    return this.#table.find(kid, algorithm).keys
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

function checkNameless(keys: readonly VerificationKey[]): void {
  for (const algorithm of JWT_ALGORITHMS) {
    const nameless = keys.filter((key) => key.kid === undefined && key.algorithms.has(algorithm))
    if (nameless.length <= MAX_CANDIDATES) continue
    throw new Error(
      `has ${nameless.length} keys without a kid for ${algorithm}; at most ${MAX_CANDIDATES} are tried: give each its kid`,
    )
  }
}
