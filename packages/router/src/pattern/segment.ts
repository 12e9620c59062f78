import type { PathView } from './path-view.ts'

/** A segment that is fixed text, decoded and folded. */
export interface StaticSegment {
  readonly kind: 'static'
  readonly text: string
}

/** A segment of text and parameters: `v:major.:minor`. */
export interface MixedSegment {
  readonly kind: 'mixed'
  /** One more than names: before, between and behind them; folded. Only the first and the last may be empty. */
  readonly texts: readonly string[]
  readonly names: readonly string[]
  /** Fixed characters in it. */
  readonly literals: number
  /** The same for segments that differ in names only. */
  readonly shape: string
}

/** A segment that is one parameter; any text but none. */
export interface ParamSegment {
  readonly kind: 'param'
  readonly name: string
}

/** One segment or more. */
export interface WildSegment {
  readonly kind: 'wild'
  readonly name: string
}

export type Segment = StaticSegment | MixedSegment | ParamSegment | WildSegment

const RANK = { static: 0, mixed: 1, param: 2, wild: 3 } as const

/** Which of two segments at the same place is more specific; negative: the first. */
export function compareSegments(a: Segment, b: Segment): number {
  if (a.kind === 'mixed' && b.kind === 'mixed') {
    return b.literals - a.literals || compareText(a.shape, b.shape)
  }
  return RANK[a.kind] - RANK[b.kind]
}

/** The same for segments that match the same texts. */
export function shapeOf(segment: Segment): string {
  switch (segment.kind) {
    case 'static':
      return `=${JSON.stringify(segment.text)}`
    case 'mixed':
      return segment.shape
    case 'param':
      return ':'
    case 'wild':
      return '*'
  }
}

/** Code-unit order, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** True when the segment at that place of the path fits; never asked of a wildcard. */
export function fits(segment: Segment, view: PathView, at: number): boolean {
  const key = view.key(at)
  switch (segment.kind) {
    case 'static':
      return key === segment.text
    case 'param':
      return key !== ''
    case 'mixed':
      return matchMixed(segment, key) !== undefined
    case 'wild':
      return false
  }
}

/**
 * Where the parameters of a mixed segment lie: start and end of each, in order. Decided from the right, each parameter
 * but the first as short as it can be, which is what path-to-regexp's expressions find, in linear time.
 *
 * @param key the decoded, folded segment of the path
 */
export function matchMixed(segment: MixedSegment, key: string): number[] | undefined {
  const { texts } = segment
  const last = texts.length - 1
  if (!key.endsWith(texts[last]!)) return undefined
  const places = new Array<number>(last * 2)
  let end = key.length - texts[last]!.length
  for (let i = last - 1; i > 0; i--) {
    const text = texts[i]!
    // At least one character is left for the parameter behind.
    const found = end - 1 - text.length < 0 ? -1 : key.lastIndexOf(text, end - 1 - text.length)
    if (found === -1) return undefined
    // As path-to-regexp has it: a parameter does not contain the text before it, but may be that very text.
    if (found + text.length < end - text.length && key.startsWith(text, end - text.length)) return undefined
    places[i * 2] = found + text.length
    places[i * 2 + 1] = end
    end = found
  }
  const start = texts[0]!.length
  if (end <= start || !key.startsWith(texts[0]!)) return undefined
  places[0] = start
  places[1] = end
  return places
}
