import * as v from 'valibot'
import { type KeyReader, keyReader, type RequestKey, requestKey } from './request-key.ts'
import type { Candidate, ChoiceContext, Strategy } from './strategy.ts'
import { placeOf, TextHash } from './text-hash.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** Options of the strategy `hash`. */
export interface HashOptions {
  readonly name: 'hash'
  /**
   * What of the request decides. Under `'client'` all who come through one proxy that the app does not trust
   * (`trust proxy`) are one client. A request without the key goes to any target, by weight. A client that may choose
   * the key may choose its target; `boundedLoad` keeps it from filling that one. @default 'client'
   */
  readonly key?: RequestKey
  /**
   * How far above its share a target may be filled, more than 1 up to 100: it is passed over, and the next in the key's
   * order taken, while it has `ceil(boundedLoad × (all in flight + 1) × weight / all weights)` requests in flight. While
   * hardly anything is in flight that is one: a second request at the same time for the same key then goes elsewhere.
   * `false` keeps keys together whatever it costs. @default 1.25
   */
  readonly boundedLoad?: number | false
}

const FACTOR = 'not a number above 1 up to 100, or false'

/** What may stand beside `name: 'hash'`. */
export const HASH_ENTRIES: v.ObjectEntries = {
  key: v.optional(requestKey),
  boundedLoad: v.optional(
    v.union(
      [
        v.pipe(
          v.number(),
          v.check((factor) => factor > 1 && factor <= 100, FACTOR),
        ),
        v.literal(false),
      ],
      FACTOR,
    ),
  ),
}

const SEED_SALT = 0x2545f491

/**
 * The same key goes to the same target: rendezvous hashing, in which each target draws a place in (0, 1) from the key
 * and the highest `weight / -ln(place)` wins. When a target leaves, its keys go to the others by weight, and no key moves
 * between those that stay; no table is kept and processes agree without talking. Targets are told apart by their ids.
 *
 * Looks at every target: for pools of some dozens.
 *
 * @see Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998
 * @see Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018
 */
export class Hash implements Strategy {
  readonly #keyOf: KeyReader
  readonly #boundedLoad: number | false
  readonly #draw = new WeightedDraw()

  constructor({ key = 'client', boundedLoad = 1.25 }: Omit<HashOptions, 'name'> = {}) {
    this.#keyOf = keyReader(key)
    this.#boundedLoad = boundedLoad
  }

  choose(candidates: readonly Candidate[], context: ChoiceContext): Candidate | undefined {
    const key = this.#keyOf(context.exchange)
    if (key === undefined || key === '') return candidates[this.#draw.first(candidates, context)]
    const hash = new TextHash(key)
    const most = this.#boundedLoad === false ? Number.POSITIVE_INFINITY : mostByWeight(candidates, this.#boundedLoad)
    let best: Candidate | undefined
    let bestScore = -1
    // For when all that are accepted are filled: an attempt is not refused because others are idle.
    let filled: Candidate | undefined
    let filledScore = -1
    for (const candidate of candidates) {
      const weight = candidate.effectiveWeight
      const score = weight / -Math.log(placeOf(hash, seedOf(candidate)))
      if (score <= bestScore) continue
      if (candidate.inFlight < Math.ceil(weight * most)) {
        if (!context.accepts(candidate)) continue
        best = candidate
        bestScore = score
      } else if (score > filledScore && context.accepts(candidate)) {
        filled = candidate
        filledScore = score
      }
    }
    return best ?? filled ?? candidates[0]
  }
}

/** How many requests a target may have in flight, for one unit of its weight; at least one target always has room. */
function mostByWeight(candidates: readonly Candidate[], factor: number): number {
  let inFlight = 1
  let weights = 0
  for (const candidate of candidates) {
    inFlight += candidate.inFlight
    weights += candidate.effectiveWeight
  }
  return (factor * inFlight) / weights
}

function seedOf(candidate: Candidate): TextHash {
  candidate.slot ??= new TextHash(candidate.target.id, SEED_SALT)
  return candidate.slot as TextHash
}
