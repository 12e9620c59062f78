import type { FieldMatch } from '../route.ts'
import type { Loss } from '../table/loss.ts'

/** A condition on one named value: a header, a query parameter or a cookie. */
export interface FieldTest {
  readonly name: string
  readonly match: FieldMatch
  /** What is told when it does not hold. Made once, so that asking costs nothing. */
  readonly loss: Loss
}

/** True when the value is there and fits. */
export function holds(test: FieldTest, value: string | undefined): boolean {
  if (value === undefined) return false
  const { match } = test
  if (match === true) return true
  return typeof match === 'string' ? match === value : match.test(value)
}

/**
 * The tests of a record, in a stated order.
 *
 * @param lower header names compare in lower case
 */
export function fieldTests(
  record: Readonly<Record<string, FieldMatch>> | undefined,
  kind: 'header' | 'query' | 'cookie',
  lower = false,
): readonly FieldTest[] {
  return Object.entries(record ?? {})
    .map(([given, match]) => {
      const name = lower ? given.toLowerCase() : given
      return { name, match, loss: Object.freeze({ kind, name }) }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The cookies of a request by name; of several with one name the first counts, as most servers have it. */
export function readCookies(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>()
  if (header === undefined) return cookies
  for (const part of header.split(';')) {
    const equals = part.indexOf('=')
    if (equals === -1) continue
    const name = part.slice(0, equals).trim()
    if (cookies.has(name)) continue
    let value = part.slice(equals + 1).trim()
    if (value.length > 1 && value.startsWith('"') && value.endsWith('"')) value = value.slice(1, -1)
    cookies.set(name, decode(value))
  }
  return cookies
}

function decode(value: string): string {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
