import type { IncomingMessage } from 'node:http'

/** Stands for a field that is there more than once: nobody can say which line the upstream would read. */
export const TWICE: unique symbol = Symbol('more than one line')

/**
 * The value of the only line of a field; {@link TWICE} when there are several, even equal ones. Reads the raw list: Node's
 * `req.headers` keeps the first of several `Authorization` lines without a word, and costs more than the search.
 *
 * @param name lower case
 */
export function soleLine(req: IncomingMessage, name: string): string | typeof TWICE | undefined {
  const raw = req.rawHeaders
  let found: string | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const each = raw[i]!
    if (each.length !== name.length || each.toLowerCase() !== name) continue
    if (found !== undefined) return TWICE
    found = raw[i + 1]!
  }
  return found
}
