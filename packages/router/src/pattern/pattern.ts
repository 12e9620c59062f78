import { PathError, parse, type Token } from 'path-to-regexp'
import type { PathRules } from './path-view.ts'
import { compareSegments, type Segment, shapeOf } from './segment.ts'
import { compareTails, type Tail, tailOf } from './tail.ts'
import { fold } from './text.ts'

/** One way to read a pattern: each optional group is in it or left out. */
export interface Variant {
  /** Up to the first wildcard; one a level of the trie. */
  readonly segments: readonly Segment[]
  /** From the first wildcard on. */
  readonly tail: Tail | undefined
  /** A prefix: whatever follows fits too. */
  readonly open: boolean
  /** It has parameters. */
  readonly captures: boolean
}

/** A configured pattern, read. */
export interface Pattern {
  readonly variants: readonly Variant[]
  /** Parameters and what each takes; `always` when no optional group can leave it out. */
  readonly params: ReadonlyMap<string, { readonly kind: 'param' | 'wildcard'; readonly always: boolean }>
  /** The same for patterns that match the same paths with other names. */
  readonly shape: string
}

/** A pattern or template that cannot be used. */
export class PatternError extends Error {
  readonly cure: string | undefined

  constructor(message: string, cure?: string) {
    super(message)
    this.cure = cure
  }
}

/** A pattern with more optional groups than this has ways to read would fill the trie. */
const MAX_VARIANTS = 256

/**
 * Reads a pattern in Express 5's syntax.
 *
 * @param kind `prefix`: what follows the pattern fits too, and wildcards are refused
 * @throws PatternError
 */
export function readPattern(pattern: string, kind: 'path' | 'prefix', rules: PathRules): Pattern {
  const lists: Exclude<Token, { type: 'group' }>[][] = []
  flatten(tokensOf(pattern), 0, [], lists)
  const params = new Map<string, { kind: 'param' | 'wildcard'; count: number }>()
  const variants: Variant[] = []
  const shapes = new Set<string>()
  for (const list of lists) {
    const names = new Set<string>()
    for (const token of list) {
      if (token.type === 'text') continue
      if (names.has(token.name)) throw new PatternError(`the parameter "${token.name}" stands in it twice`)
      names.add(token.name)
      const known = params.get(token.name)
      if (known === undefined) params.set(token.name, { kind: token.type, count: 1 })
      else if (known.kind === token.type) known.count++
      else throw new PatternError(`"${token.name}" is a parameter and a wildcard`)
    }
    const variant = variantOf(list, kind, rules)
    const shape = `${variant.segments.map(shapeOf).join('/')}${variant.tail === undefined ? '' : `/${variant.tail.shape}`}`
    if (!shapes.has(shape)) variants.push(variant)
    shapes.add(shape)
  }
  return {
    variants,
    params: new Map(
      [...params].map(([name, { kind, count }]) => [name, { kind, always: count === lists.length }] as const),
    ),
    shape: `${kind} ${[...shapes].sort().join(' | ')}`,
  }
}

/** The pattern of a route without path and prefix. */
export const ANY_PATH: Pattern = {
  variants: [{ segments: [], tail: undefined, open: true, captures: false }],
  params: new Map(),
  shape: 'prefix ',
}

/**
 * Which of two variants that match the same path is more specific; negative: the first. A whole path without wildcards
 * comes before the rest, then the longer, then segment by segment, then a wildcard before a bare prefix.
 */
export function compareVariants(a: Variant, b: Variant): number {
  const aExact = !a.open && a.tail === undefined
  const bExact = !b.open && b.tail === undefined
  if (aExact !== bExact) return aExact ? -1 : 1
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length
  for (let i = 0; i < a.segments.length; i++) {
    const order = compareSegments(a.segments[i]!, b.segments[i]!)
    if (order !== 0) return order
  }
  if (a.tail === undefined || b.tail === undefined)
    return (a.tail === undefined ? 1 : 0) - (b.tail === undefined ? 1 : 0)
  return compareTails(a.tail, b.tail)
}

/** The tokens of a pattern or a template. */
export function tokensOf(pattern: string): readonly Token[] {
  try {
    return parse(pattern).tokens
  } catch (error) {
    // The library's own message ends with a link to its manual and repeats the pattern.
    const text = error instanceof PathError ? error.message.split(/: |;/)[0]! : String(error)
    throw new PatternError(`not a path pattern: ${text.toLowerCase()}`, 'escape ( ) [ ] { } + ? ! : * with a backslash')
  }
}

function flatten(
  tokens: readonly Token[],
  at: number,
  before: readonly Exclude<Token, { type: 'group' }>[],
  lists: Exclude<Token, { type: 'group' }>[][],
): void {
  const result = [...before]
  for (let i = at; i < tokens.length; i++) {
    const token = tokens[i]!
    if (token.type !== 'group') {
      result.push(token)
      continue
    }
    flatten([...token.tokens, ...tokens.slice(i + 1)], 0, result, lists)
  }
  if (lists.length >= MAX_VARIANTS) throw new PatternError(`more than ${MAX_VARIANTS} combinations of optional parts`)
  lists.push(result)
}

type Piece = string | Exclude<Token, { type: 'group' | 'text' }>

function variantOf(
  list: readonly Exclude<Token, { type: 'group' }>[],
  kind: 'path' | 'prefix',
  rules: PathRules,
): Variant {
  const pieces: Piece[][] = [[]]
  for (const token of list) {
    if (token.type !== 'text') {
      pieces.at(-1)!.push(token)
      continue
    }
    const [first, ...more] = token.value.split('/')
    append(pieces.at(-1)!, first!)
    for (const text of more) {
      pieces.push([])
      append(pieces.at(-1)!, text)
    }
  }
  if (pieces[0]!.length > 0) throw new PatternError('does not start with "/"')
  pieces.shift()
  // "/" alone has no segment; a trailing slash is one only where it counts.
  const isTrailing = pieces.length > 0 && pieces.at(-1)!.length === 0
  if (isTrailing && (pieces.length === 1 || !rules.strict || kind === 'prefix')) pieces.pop()
  const segments = pieces.map((piece, i) => segmentOf(piece, rules, i === pieces.length - 1 && isTrailing))
  const wild = segments.findIndex((segment) => segment.kind === 'wild')
  if (wild !== -1 && kind === 'prefix') {
    throw new PatternError('a wildcard in a prefix', 'leave it out, a prefix takes whatever follows; or use path')
  }
  return {
    segments: wild === -1 ? segments : segments.slice(0, wild),
    tail: wild === -1 ? undefined : tailOf(segments.slice(wild)),
    open: kind === 'prefix',
    captures: segments.some((segment) => segment.kind !== 'static'),
  }
}

function append(pieces: Piece[], text: string): void {
  if (text === '') return
  const last = pieces.at(-1)
  if (typeof last === 'string') pieces[pieces.length - 1] = last + text
  else pieces.push(text)
}

function segmentOf(pieces: readonly Piece[], rules: PathRules, isTrailing: boolean): Segment {
  if (pieces.length === 0) {
    if (isTrailing) return { kind: 'static', text: '' }
    throw new PatternError('an empty segment', 'write one slash instead of two')
  }
  const first = pieces[0]!
  if (pieces.length === 1) {
    if (typeof first !== 'string') return { kind: first.type === 'param' ? 'param' : 'wild', name: first.name }
    const text = literal(first, rules)
    if (text === '.' || text === '..') throw new PatternError('a dot segment', 'requests with dot segments are refused')
    return { kind: 'static', text }
  }
  const texts: string[] = []
  const names: string[] = []
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      texts.push(literal(piece, rules))
      continue
    }
    if (piece.type === 'wildcard') {
      throw new PatternError(
        `the wildcard "*${piece.name}" shares its segment`,
        `put it between slashes, or use a parameter: ":${piece.name}"`,
      )
    }
    if (texts.length === names.length) {
      if (names.length > 0) throw new PatternError(`no text between ":${names.at(-1)}" and ":${piece.name}"`)
      texts.push('')
    }
    names.push(piece.name)
  }
  if (texts.length === names.length) texts.push('')
  return {
    kind: 'mixed',
    texts,
    names,
    literals: texts.reduce((sum, text) => sum + text.length, 0),
    shape: `~${JSON.stringify(texts)}`,
  }
}

/** Fixed text as it compares: decoded, folded. */
function literal(text: string, rules: PathRules): string {
  if (/[#\\\p{Cc}]/u.test(text)) {
    throw new PatternError('"#", a backslash or a control character', 'no request has one in its path')
  }
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    throw new PatternError('a percent sign that is no escape', 'write %25')
  }
  return rules.caseSensitive ? decoded : fold(decoded)
}
