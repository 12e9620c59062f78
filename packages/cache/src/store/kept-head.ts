import type { BytePart, StoredHead } from '../stored-response.ts'
import { flatCopy, stringBytes } from './flat-string.ts'
import { arrayBytes, PART_BYTES, RESPONSE_BYTES } from './memory-costs.ts'
import type { StringPool } from './string-pool.ts'

/** A head whose strings and lists are the store's own, and the account of them. */
export interface KeptHead {
  readonly head: StoredHead
  /** Memory that it takes, pooled strings and tags left out: they are counted where they are. */
  readonly bytes: number
  /** A bit a header line: its name is a pooled string. */
  readonly sharedNames: number
  /** The same for values; above them a bit each for the status text, the variant and the partition. */
  readonly sharedValues: number
}

// Bits of a small integer, so that they cost nothing beside the field.
const MOST_SHARED_LINES = 28
const STATUS_TEXT = 1 << 28
const VARIANT = 1 << 29
const PARTITION = 1 << 30
/** Fields whose values are hardly ever those of another response. */
const OWN_VALUES: ReadonlySet<string> = new Set([
  'content-length',
  'date',
  'etag',
  'expires',
  'last-modified',
  'set-cookie',
])
const NO_TEXTS: readonly string[] = Object.freeze([])

/** Copies what is to be kept of a head. `tags` are its tags, as the tag index has them. */
export function keepHead(given: StoredHead, tags: readonly string[], pool: StringPool): KeptHead {
  const copy = new Copying(pool)
  let sharedNames = 0
  let sharedValues = 0
  let etag: string | undefined
  const headers = new Array<string>(given.headers.length)
  for (let i = 0; i < headers.length; i += 2) {
    const line = i >> 1
    const mayShare = line < MOST_SHARED_LINES
    headers[i] = copy.text(given.headers[i] ?? '', mayShare)
    if (copy.shared) sharedNames |= 1 << line
    if (i + 1 === headers.length) break
    const name = given.headers[i]!
    const value = given.headers[i + 1]!
    headers[i + 1] = copy.text(value, mayShare && !OWN_VALUES.has(name))
    if (copy.shared) sharedValues |= 1 << line
    if (name === 'etag' && value === given.etag) etag = headers[i + 1]
  }
  const statusText = copy.text(given.statusText, true)
  if (copy.shared) sharedValues |= STATUS_TEXT
  const variant = copy.text(given.variant, true)
  if (copy.shared) sharedValues |= VARIANT
  const partition = copy.text(given.partition, true)
  if (copy.shared) sharedValues |= PARTITION
  const head: StoredHead = {
    ...given,
    id: copy.text(given.id, false),
    statusText,
    variant,
    partition,
    headers,
    etag: etag ?? (given.etag === undefined ? undefined : copy.text(given.etag, false)),
    vary: copy.texts(given.vary),
    varyValues: copy.texts(given.varyValues),
    parts: given.parts === undefined ? undefined : copy.parts(given.parts),
    tags,
  }
  const lists = arrayBytes(headers.length) + arrayBytes(tags.length)
  return { head, bytes: RESPONSE_BYTES + lists + copy.bytes, sharedNames, sharedValues }
}

/** Gives the pooled strings of a head back. */
export function releaseHead(head: StoredHead, sharedNames: number, sharedValues: number, pool: StringPool): void {
  for (let line = 0; line < MOST_SHARED_LINES; line++) {
    if (sharedNames & (1 << line)) pool.release(head.headers[line * 2]!)
    if (sharedValues & (1 << line)) pool.release(head.headers[line * 2 + 1]!)
  }
  if (sharedValues & STATUS_TEXT) pool.release(head.statusText)
  if (sharedValues & VARIANT) pool.release(head.variant)
  if (sharedValues & PARTITION) pool.release(head.partition)
}

/** Makes copies and adds up what they take. */
class Copying {
  bytes = 0
  /** Whether the last text came out of the pool. */
  shared = false
  readonly #pool: StringPool

  constructor(pool: StringPool) {
    this.#pool = pool
  }

  text(text: string, mayShare: boolean): string {
    const pooled = mayShare ? this.#pool.acquire(text) : undefined
    this.shared = pooled !== undefined
    if (pooled !== undefined) return pooled
    if (text === '') return ''
    this.bytes += stringBytes(text)
    return flatCopy(text)
  }

  texts<Text extends string | undefined>(texts: readonly Text[]): readonly Text[] {
    if (texts.length === 0) return NO_TEXTS as readonly Text[]
    this.bytes += arrayBytes(texts.length)
    return texts.map((text) => (text === undefined ? text : (this.text(text, false) as Text)))
  }

  parts(parts: readonly BytePart[]): readonly BytePart[] {
    this.bytes += arrayBytes(parts.length) + parts.length * PART_BYTES
    return parts.map(({ first, last }) => ({ first, last }))
  }
}
