import { isSpaceCode, isTokenCode } from './field-list.ts'

const QUOTE = 34
const COMMA = 44
const EQUALS = 61
const BACKSLASH = 92

/** Takes one directive of a list. */
export type TakeDirective<State> = (
  state: State,
  name: string,
  argument: string | undefined,
  malformed: boolean,
) => void

/**
 * Reads the directives of a Cache-Control field one by one: names in lower case, arguments without their quotes, a
 * comma inside of quotes does not end a directive.
 *
 * What is written against the grammar is not passed over but told as malformed, without its argument, so that a
 * directive that restricts still restricts: space around `=`, an empty argument, anything before or after the
 * directive. When quotes do not end, nobody can tell what was meant to stand inside of them, and every directive is
 * malformed.
 *
 * The time that it takes grows with the length of the text and with nothing else.
 *
 * @see RFC 9111 §5.2
 */
export function readDirectives<State>(text: string, take: TakeDirective<State>, state: State): void {
  let at = 0
  // Quotes count for nothing once they do not pair up.
  let astray = !quotesEnd(text)
  while (at < text.length) {
    at = skipSpace(text, at)
    let malformed = astray
    while (at < text.length && !isTokenCode(text.charCodeAt(at)) && text.charCodeAt(at) !== COMMA) {
      malformed = true
      at += 1
    }
    const nameStart = at
    at = skipToken(text, at)
    if (at === nameStart) {
      at += 1
      continue
    }
    const name = text.slice(nameStart, at).toLowerCase()

    let argument: string | undefined
    if (text.charCodeAt(at) === EQUALS) {
      at += 1
      const start = at
      if (text.charCodeAt(at) === QUOTE && !astray) {
        const end = endOfQuotes(text, at)
        if (end < 0) {
          astray = true
          malformed = true
        } else {
          argument = unquoted(text, at + 1, end - 1)
          at = end
        }
      } else {
        at = skipToken(text, at)
        if (at > start) argument = text.slice(start, at)
      }
      if (argument === undefined) malformed = true
    }

    at = skipSpace(text, at)
    while (at < text.length && text.charCodeAt(at) !== COMMA) {
      malformed = true
      if (text.charCodeAt(at) === QUOTE && !astray) {
        const end = endOfQuotes(text, at)
        if (end < 0) astray = true
        at = end < 0 ? at + 1 : end
      } else {
        at += 1
      }
    }
    at += 1
    take(state, name, malformed ? undefined : argument, malformed)
  }
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (at < text.length && isSpaceCode(text.charCodeAt(at))) at += 1
  return at
}

function skipToken(text: string, start: number): number {
  let at = start
  while (at < text.length && isTokenCode(text.charCodeAt(at))) at += 1
  return at
}

function quotesEnd(text: string): boolean {
  let at = text.indexOf('"')
  while (at >= 0) {
    const end = endOfQuotes(text, at)
    if (end < 0) return false
    at = text.indexOf('"', end)
  }
  return true
}

/** Where the text goes on behind a quoted string; -1 when the quotes do not end. */
function endOfQuotes(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at += 1
  }
  return -1
}

/** The content of a quoted string, each quoted pair replaced by its character (RFC 9110 §5.6.4). */
function unquoted(text: string, start: number, end: number): string {
  const content = text.slice(start, end)
  if (!content.includes('\\')) return content
  let plain = ''
  for (let at = 0; at < content.length; at += 1) {
    if (content.charCodeAt(at) === BACKSLASH) at += 1
    plain += content.charAt(at)
  }
  return plain
}
