import { isSpaceCode, trimSpace } from './field-list.ts'

/** Most tags that a response has. */
export const MAX_TAGS = 128

/** Longest tag, in characters. */
export const MAX_TAG_LENGTH = 256

const COMMA = 44

/**
 * The tags by which a response can be purged, each once, in the order given: those of `Surrogate-Key` are separated by
 * spaces, those of other fields (`Cache-Tag`) by commas. Capitals matter.
 *
 * Tags of more than 256 characters are left out, and so is what comes after 128 tags: a purge by one of these does not
 * find the response.
 *
 * @param fields lower-case names
 */
export function tagsOf(headers: readonly string[], fields: readonly string[]): readonly string[] {
  let tags: Set<string> | undefined
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    if (!fields.includes(name)) continue
    tags ??= new Set()
    addTags(tags, headers[index + 1]!, name === 'surrogate-key' ? isSpaceCode : isComma)
  }
  return tags === undefined ? NONE : [...tags]
}

const NONE: readonly string[] = []

function addTags(tags: Set<string>, line: string, separates: (code: number) => boolean): void {
  let start = 0
  for (let at = 0; at <= line.length && tags.size < MAX_TAGS; at += 1) {
    if (at < line.length && !separates(line.charCodeAt(at))) continue
    const tag = trimSpace(line.slice(start, at))
    if (tag !== '' && tag.length <= MAX_TAG_LENGTH) tags.add(tag)
    start = at + 1
  }
}

function isComma(code: number): boolean {
  return code === COMMA
}
