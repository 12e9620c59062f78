import { MAX_MATCHED_LENGTH } from './claim-test.ts'

// JavaScript's regular expressions go back and try another way whenever a text does not fit, so that a text made for it
// may take for ever. Claims are signed, but what is in them may have been chosen by the caller: a name, a note. This keeps
// the work within some four million steps, a few milliseconds. What is inside a repetition must be readable in one way
// only, and outside of repetitions all free lengths together must not leave more ways than two of them do. A free
// length that ends at a character which it cannot itself contain (`[a-z]+-`) leaves one way, and only costs its length.

const LENGTH_BITS = Math.log2(MAX_MATCHED_LENGTH)
const MOST_BITS = 2 * LENGTH_BITS + 2

/** What is known of a group, or of the whole pattern, while it is read. */
interface Group {
  /** The choices of the alternative that is being read, as the binary logarithm of their number. */
  bits: number
  /** The most of those of the alternatives before. */
  mostBits: number
  alternatives: number
  /** First characters of the alternatives; undefined when one does not begin with a plain character. */
  firsts: Set<string> | undefined
  /** Two alternatives begin alike, or may do. */
  ambiguous: boolean
  /** Nothing was read of this alternative yet. */
  atStart: boolean
  /** Every alternative so far begins with `^`. */
  anchored: boolean
}

interface Repeat {
  readonly least: number
  readonly most: number
  /** Index behind it. */
  readonly end: number
}

const ONCE = { least: 1, most: 1 }
const QUANTIFIER = /(?:([*+?])|\{(\d+)(,?)(\d*)\})\??/y
const GROUP_START = /\((?:\?(?:[:=!]|<[=!]|<[^>]*>|[a-z-]*:))?/y
const CHARACTER_CLASS = /\[(?:[^\]\\]|\\.)*\]/y
/** What stops a free length: the end, or a character that must be there. Brackets may close between, when they are not repeated. */
const STOP = /\)*(?:(\$)|\\?(["#%&',/:;<=>@_`~! -])|([A-Za-z0-9])|\\([.*+?()[\]{}|^$]))(?![*?{])/y

/** Why a pattern is not taken; undefined when it is. */
export function patternFault(pattern: RegExp): string | undefined {
  const { source, flags, ignoreCase } = pattern
  if (/[^isu]/.test(flags)) return 'a pattern with flags other than i, s and u'
  const open: Group[] = [newGroup()]
  let stoppedBits = 0
  for (let i = 0; i < source.length; ) {
    const group = open.at(-1)!
    const each = source[i]!
    if (each === '(') {
      if (source.startsWith('(?<=', i) || source.startsWith('(?<!', i)) return 'a pattern that looks behind'
      open.push(newGroup())
      i = endOf(GROUP_START, source, i)
      continue
    }
    if (each === '|') {
      endAlternative(group)
      i++
      continue
    }
    if (each === '^' && group.atStart) {
      group.atStart = false
      i++
      continue
    }
    const start = i
    let inner: Group | undefined
    if (each === ')') {
      inner = open.pop()!
      endAlternative(inner)
      i++
    } else if (each === '[') i = endOf(CHARACTER_CLASS, source, i)
    else if (each === '\\') {
      if (/[1-9k]/.test(source[i + 1]!)) return 'a pattern that refers back to a group'
      i += 2
    } else i++
    const atom = source.slice(start, i)
    const repeat = repeatAt(source, i)
    const outer = open.at(-1)!
    const isPlain = repeat.least > 0 && /^[\w -]$/.test(atom)
    begin(outer, isPlain ? (ignoreCase ? atom.toLowerCase() : atom) : undefined)
    i = repeat.end
    if (inner !== undefined && repeat.most > 1 && (inner.mostBits > 0 || inner.ambiguous)) {
      return 'a pattern with a repetition inside a repetition, or alternatives in one that begin alike'
    }
    if (inner === undefined && repeat.most > 1 && isStopped(atom, flags, source, i)) {
      stoppedBits = Math.max(stoppedBits, choiceBits(repeat))
    } else outer.bits += (inner?.mostBits ?? 0) + choiceBits(repeat)
  }
  const whole = open[0]!
  endAlternative(whole)
  const bits = whole.mostBits + stoppedBits + (whole.anchored ? 0 : LENGTH_BITS)
  return bits > MOST_BITS ? 'a pattern that can fit in too many ways' : undefined
}

/** True when what comes next must be there and is nothing that the repeated atom could be. */
function isStopped(atom: string, flags: string, source: string, at: number): boolean {
  STOP.lastIndex = at
  const found = STOP.exec(source)
  if (found === null) return false
  const stop = found[2] ?? found[3] ?? found[4]
  return stop === undefined || !new RegExp(`^(?:${atom})$`, flags).test(stop)
}

function newGroup(): Group {
  const firsts = new Set<string>()
  return { bits: 0, mostBits: 0, alternatives: 0, firsts, ambiguous: false, atStart: true, anchored: true }
}

/** Notes what an alternative begins with. */
function begin(group: Group, first: string | undefined): void {
  if (!group.atStart) return
  group.atStart = false
  group.anchored = false
  if (first === undefined || group.firsts?.has(first) === true) group.firsts = undefined
  else group.firsts?.add(first)
}

function endAlternative(group: Group): void {
  if (group.atStart) begin(group, undefined)
  group.alternatives++
  if (group.alternatives > 1 && group.firsts === undefined) group.ambiguous = true
  group.mostBits = Math.max(group.mostBits, group.bits)
  if (group.ambiguous) group.mostBits = Math.max(group.mostBits, group.bits + Math.log2(group.alternatives))
  group.bits = 0
  group.atStart = true
}

function repeatAt(source: string, at: number): Repeat {
  QUANTIFIER.lastIndex = at
  const found = QUANTIFIER.exec(source)
  if (found === null) return { ...ONCE, end: at }
  const end = QUANTIFIER.lastIndex
  const [, sign, least, comma, most] = found
  if (sign === '?') return { least: 0, most: 1, end }
  if (sign !== undefined) return { least: sign === '+' ? 1 : 0, most: Number.POSITIVE_INFINITY, end }
  if (comma === '') return { least: Number(least), most: Number(least), end }
  return { least: Number(least), most: most === '' ? Number.POSITIVE_INFINITY : Number(most), end }
}

function choiceBits({ least, most }: Repeat): number {
  return Math.log2(Math.min(most - least + 1, MAX_MATCHED_LENGTH))
}

function endOf(sticky: RegExp, source: string, at: number): number {
  sticky.lastIndex = at
  return sticky.test(source) ? sticky.lastIndex : at + 1
}
