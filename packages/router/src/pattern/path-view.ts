import { fold } from './text.ts'

const SPECIAL = /[%\x80-\uffff]/
const NON_ASCII = /[\x80-\uffff]/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** How paths compare. */
export interface PathRules {
  readonly caseSensitive: boolean
  /** A trailing slash counts. */
  readonly strict: boolean
}

/**
 * A path as the table looks at it: segment by segment, in three forms of the same place: as it came, decoded, and decoded
 * and folded for comparison.
 */
export class PathView {
  readonly path: string
  /** Segments; a trailing slash makes no segment unless the rules are strict. */
  readonly count: number
  /** A slash behind the last segment that makes no segment. */
  readonly hasSlash: boolean
  // Each list begins with the empty text in front of the first slash.
  readonly #raws: readonly string[]
  readonly #values: readonly string[]
  readonly #keys: readonly string[]

  private constructor(
    path: string,
    raws: readonly string[],
    values: readonly string[],
    keys: readonly string[],
    strict: boolean,
  ) {
    this.path = path
    const last = raws.length - 1
    this.hasSlash = raws[last] === '' && (last === 1 || !strict)
    this.count = this.hasSlash ? last - 1 : last
    this.#raws = raws
    this.#values = values
    this.#keys = keys
  }

  /** @returns undefined when the path's bytes are not UTF-8 */
  static of(path: string, rules: PathRules): PathView | undefined {
    const raws = path.split('/')
    if (!SPECIAL.test(path)) {
      if (rules.caseSensitive) return new PathView(path, raws, raws, raws, rules.strict)
      const folded = path.toLowerCase()
      return new PathView(path, raws, raws, folded === path ? raws : folded.split('/'), rules.strict)
    }
    try {
      // Node gives bytes that came unescaped as one character each.
      const text = NON_ASCII.test(path) ? utf8.decode(Buffer.from(path, 'latin1')) : path
      const values = text.split('/').map(decodeURIComponent)
      return new PathView(path, raws, values, rules.caseSensitive ? values : values.map(fold), rules.strict)
    } catch {
      return undefined
    }
  }

  /** The segment as it came, byte for byte. */
  raw(at: number): string {
    return this.#raws[at + 1]!
  }

  /** The segment decoded. */
  value(at: number): string {
    return this.#values[at + 1]!
  }

  /** The segment decoded and folded. */
  key(at: number): string {
    return this.#keys[at + 1]!
  }

  /** What stands behind the first segments, byte for byte: empty, or with its slash. */
  behind(segments: number): string {
    let offset = 0
    for (let i = 0; i < segments; i++) offset += this.raw(i).length + 1
    return this.path.slice(offset)
  }
}
