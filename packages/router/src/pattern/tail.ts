import type { PathView } from './path-view.ts'
import { compareSegments, compareText, fits, type Segment, shapeOf } from './segment.ts'

/** A pattern from its first wildcard on. */
export interface Tail {
  /** The first is a wildcard. */
  readonly segments: readonly Segment[]
  /** Segments that are no wildcards. */
  readonly fixed: number
  readonly shape: string
}

export function tailOf(segments: readonly Segment[]): Tail {
  return {
    segments,
    fixed: segments.reduce((sum, segment) => sum + (segment.kind === 'wild' ? 0 : 1), 0),
    shape: segments.map(shapeOf).join('/'),
  }
}

/** Which of two tails is more specific: more fixed segments, then segment by segment, then a stated order of shapes. */
export function compareTails(a: Tail, b: Tail): number {
  if (a.fixed !== b.fixed) return b.fixed - a.fixed
  const length = Math.min(a.segments.length, b.segments.length)
  for (let i = 0; i < length; i++) {
    const order = compareSegments(a.segments[i]!, b.segments[i]!)
    if (order !== 0) return order
  }
  return a.segments.length - b.segments.length || compareText(a.shape, b.shape)
}

/**
 * Where each segment of the tail lies in the path: its start, in order, and the path's end behind the last. Decided from
 * the right: every wildcard but the first takes as little as it can. No place is looked at twice for the same segment, so
 * the work is the product of both lengths at most.
 */
export function matchTail(tail: Tail, view: PathView, from: number): number[] | undefined {
  const { segments } = tail
  if (view.count - from < segments.length) return undefined
  const starts = new Array<number>(segments.length + 1)
  let limit = view.count
  let high = segments.length
  while (high > 0) {
    let wild = high - 1
    while (segments[wild]!.kind !== 'wild') wild--
    const length = high - wild - 1
    const isLast = high === segments.length
    // Behind the last piece the path ends; behind every other stands a wildcard that needs a segment.
    let place = limit - length - (isLast ? 0 : 1)
    while (place > from && !pieceFits(segments, wild + 1, length, view, place)) place = isLast ? from : place - 1
    if (place <= from) return undefined
    for (let i = 0; i < length; i++) starts[wild + 1 + i] = place + i
    starts[high] = place + length
    limit = place
    high = wild
  }
  starts[0] = from
  return wildsHaveText(segments, view, starts) ? starts : undefined
}

function pieceFits(segments: readonly Segment[], at: number, length: number, view: PathView, place: number): boolean {
  for (let i = 0; i < length; i++) if (!fits(segments[at + i]!, view, place + i)) return false
  return true
}

/** With repeated or trailing slashes let through, a wildcard may not come down to one empty segment. */
function wildsHaveText(segments: readonly Segment[], view: PathView, starts: readonly number[]): boolean {
  for (let i = 0; i < segments.length; i++) {
    if (segments[i]!.kind === 'wild' && starts[i + 1]! - starts[i]! === 1 && view.key(starts[i]!) === '') return false
  }
  return true
}
