import type { RequestFacts } from '../request-facts.ts'
import type { SplitKey } from '../route.ts'
import type { BranchAction } from './action.ts'
import type { CompiledEdits } from './edits.ts'

/** A branch, read. */
export interface CompiledBranch {
  readonly id: string
  /** `<route>/<branch>`. */
  readonly routeId: string
  readonly weight: number
  /** Hash of the branch's id. */
  readonly seed: number
  readonly edits: CompiledEdits | undefined
  readonly action: BranchAction
}

/** A split, read. */
export interface CompiledSplit {
  readonly by: SplitKey | undefined
  readonly branches: readonly CompiledBranch[]
  readonly totalWeight: number
}

/** The branch of a request. @param random uniform, from 0 up to 1 */
export function chooseBranch(
  split: CompiledSplit,
  facts: RequestFacts,
  params: Readonly<Record<string, string | string[]>>,
  random: () => number,
): CompiledBranch {
  const key = split.by === undefined ? '' : keyOf(split.by, facts, params)
  return key === '' ? drawBranch(split, random()) : stickyBranch(split, key)
}

/** The key that a request sticks by; empty when it has none. */
export function keyOf(by: SplitKey, facts: RequestFacts, params: Readonly<Record<string, string | string[]>>): string {
  if (by === 'client') return facts.address
  if (typeof by === 'function') {
    const key: unknown = by(facts.req)
    return typeof key === 'string' ? key : ''
  }
  if ('header' in by) return facts.header(by.header.toLowerCase()) ?? ''
  if ('cookie' in by) return facts.cookie(by.cookie) ?? ''
  const value = params[by.param]
  return value === undefined ? '' : typeof value === 'string' ? value : value.join('/')
}

/** The branch at a place of the whole weight. @param fraction from 0 up to 1 */
export function drawBranch(split: CompiledSplit, fraction: number): CompiledBranch {
  let rest = fraction * split.totalWeight
  let last = split.branches[0]!
  for (const branch of split.branches) {
    if (branch.weight === 0) continue
    last = branch
    if (rest < branch.weight) return branch
    rest -= branch.weight
  }
  return last
}

/**
 * The branch of a key, by weighted rendezvous hashing: the highest of `weight / -ln(h(key, branch))` wins. A branch whose
 * weight grows takes keys from the others and moves none between them.
 *
 * @see Schindelhauer and Schomaker, Weighted distributed hash tables, 2005
 */
export function stickyBranch(split: CompiledSplit, key: string): CompiledBranch {
  const hash = hashText(key)
  let best: CompiledBranch | undefined
  let bestScore = -1
  for (const branch of split.branches) {
    if (branch.weight === 0) continue
    // Between 0 and 1, both excluded: the logarithm is finite and not zero.
    const place = (mix(hash ^ branch.seed) + 0.5) / 2 ** 32
    const score = branch.weight / -Math.log(place)
    if (score > bestScore) {
      best = branch
      bestScore = score
    }
  }
  return best ?? split.branches[0]!
}

/** FNV-1a over the code units, then mixed: short keys differ in few bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    hash = Math.imul(hash ^ (c & 255), 0x01000193)
    hash = Math.imul(hash ^ (c >> 8), 0x01000193)
  }
  return mix(hash)
}

/** The finaliser of MurmurHash3: every bit of the input changes half of the output. */
function mix(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
