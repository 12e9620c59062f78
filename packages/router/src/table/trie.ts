import type { PathView } from '../pattern/path-view.ts'
import type { Variant } from '../pattern/pattern.ts'
import { compareSegments, type MixedSegment, matchMixed, type Segment } from '../pattern/segment.ts'
import { compareTails, matchTail, type Tail } from '../pattern/tail.ts'
import type { RequestFacts } from '../request-facts.ts'
import type { CompiledRoute } from './compiled-route.ts'
import { Leaf, type Match } from './leaf.ts'

interface MixedChild {
  readonly segment: MixedSegment
  readonly node: TrieNode
}

interface TailChild {
  readonly tail: Tail
  readonly leaf: Leaf
  /** Its place among the tails of the node. */
  order: number
}

/** Wildcard patterns of a node. */
interface TailIndex {
  readonly byShape: Map<string, TailChild>
  /** By the fixed text of the last segment, so that patterns that differ there are not tried one by one. */
  readonly byLast: Map<string, TailChild[]>
  /** Those that end in no fixed text. */
  readonly loose: TailChild[]
}

/** A place in the tree of segments; as deep as segments stand before it. */
class TrieNode {
  readonly depth: number
  readonly statics = new Map<string, TrieNode>()
  mixed: MixedChild[] | undefined = undefined
  param: TrieNode | undefined = undefined
  /** Routes whose whole path ends here. */
  exact: Leaf | undefined = undefined
  /** Routes whose prefix ends here. */
  prefix: Leaf | undefined = undefined
  tails: TailIndex | undefined = undefined

  constructor(depth: number) {
    this.depth = depth
  }
}

/**
 * The paths of one host. A lookup goes down the tree along the segments of the path; a node is visited at most once, so
 * that backtracking is bounded by the nodes that fit, however long the path.
 */
export class Trie {
  readonly #root = new TrieNode(0)

  add(route: CompiledRoute, variant: Variant): void {
    let node = this.#root
    for (const segment of variant.segments) node = childFor(node, segment)
    const match: Match = { route, variant }
    if (variant.tail !== undefined) tailLeaf(node, variant.tail).add(match)
    else if (variant.open) {
      node.prefix ??= new Leaf()
      node.prefix.add(match)
    } else {
      node.exact ??= new Leaf()
      node.exact.add(match)
    }
  }

  /** Sorts everything; called once, behind the last `add()`. */
  seal(): void {
    sealNode(this.#root)
  }

  /** The best route that the path and its conditions allow, those apart that were tried. */
  find(facts: RequestFacts, tried: readonly CompiledRoute[] | undefined): Match | undefined {
    const open: TrieNode[] = []
    const exact = walk(this.#root, facts, tried, open)
    if (exact !== undefined) return exact
    // Deepest first; nodes of one depth stay in the order of the walk, which is the more specific first.
    if (open.length > 1) open.sort(byDepth)
    for (const node of open) {
      const match =
        (node.tails === undefined ? undefined : findTail(node.tails, node.depth, facts, tried)) ??
        node.prefix?.choose(facts, tried)
      if (match !== undefined) return match
    }
    return undefined
  }
}

function byDepth(a: TrieNode, b: TrieNode): number {
  return b.depth - a.depth
}

/** Goes on from a node, most specific child first; notes the nodes where a prefix or a wildcard could take over. */
function walk(
  node: TrieNode,
  facts: RequestFacts,
  tried: readonly CompiledRoute[] | undefined,
  open: TrieNode[],
): Match | undefined {
  if (node.prefix !== undefined || node.tails !== undefined) open.push(node)
  const { view } = facts
  if (node.depth === view.count) return node.exact?.choose(facts, tried)
  const key = view.key(node.depth)
  const child = node.statics.get(key)
  if (child !== undefined) {
    const match = walk(child, facts, tried, open)
    if (match !== undefined) return match
  }
  if (node.mixed !== undefined) {
    for (const { segment, node: next } of node.mixed) {
      if (matchMixed(segment, key) === undefined) continue
      const match = walk(next, facts, tried, open)
      if (match !== undefined) return match
    }
  }
  return node.param === undefined || key === '' ? undefined : walk(node.param, facts, tried, open)
}

/** The tails that can fit lie in two sorted lists, merged on the way. */
function findTail(
  tails: TailIndex,
  depth: number,
  facts: RequestFacts,
  tried: readonly CompiledRoute[] | undefined,
): Match | undefined {
  const { view } = facts
  if (view.count <= depth) return undefined
  const named = tails.byLast.get(view.key(view.count - 1))
  const { loose } = tails
  let i = 0
  let j = 0
  while (true) {
    const a = named?.[i]
    const b = loose[j]
    const next = a !== undefined && (b === undefined || a.order < b.order) ? a : b
    if (next === undefined) return undefined
    if (next === a) i++
    else j++
    const match = matchOf(next, depth, view, facts, tried)
    if (match !== undefined) return match
  }
}

function matchOf(
  child: TailChild,
  depth: number,
  view: PathView,
  facts: RequestFacts,
  tried: readonly CompiledRoute[] | undefined,
): Match | undefined {
  return matchTail(child.tail, view, depth) === undefined ? undefined : child.leaf.choose(facts, tried)
}

function childFor(node: TrieNode, segment: Segment): TrieNode {
  if (segment.kind === 'static') {
    let child = node.statics.get(segment.text)
    if (child === undefined) {
      child = new TrieNode(node.depth + 1)
      node.statics.set(segment.text, child)
    }
    return child
  }
  if (segment.kind === 'mixed') {
    node.mixed ??= []
    let child = node.mixed.find((known) => known.segment.shape === segment.shape)
    if (child === undefined) {
      child = { segment, node: new TrieNode(node.depth + 1) }
      node.mixed.push(child)
    }
    return child.node
  }
  node.param ??= new TrieNode(node.depth + 1)
  return node.param
}

function tailLeaf(node: TrieNode, tail: Tail): Leaf {
  node.tails ??= { byShape: new Map(), byLast: new Map(), loose: [] }
  let child = node.tails.byShape.get(tail.shape)
  if (child === undefined) {
    child = { tail, leaf: new Leaf(), order: 0 }
    node.tails.byShape.set(tail.shape, child)
  }
  return child.leaf
}

function sealNode(node: TrieNode): void {
  node.exact?.seal()
  node.prefix?.seal()
  node.mixed?.sort((a, b) => compareSegments(a.segment, b.segment))
  if (node.tails !== undefined) sealTails(node.tails)
  for (const child of node.statics.values()) sealNode(child)
  for (const child of node.mixed ?? []) sealNode(child.node)
  if (node.param !== undefined) sealNode(node.param)
}

function sealTails(tails: TailIndex): void {
  const sorted = [...tails.byShape.values()].sort((a, b) => compareTails(a.tail, b.tail))
  sorted.forEach((child, order) => {
    child.order = order
    child.leaf.seal()
    const last = child.tail.segments.at(-1)!
    if (last.kind !== 'static') tails.loose.push(child)
    else if (tails.byLast.has(last.text)) tails.byLast.get(last.text)!.push(child)
    else tails.byLast.set(last.text, [child])
  })
}
