import { fieldValue, tokenList, withoutFields } from './field-list.ts'

/** Fields that another response does not bring up to date. */
const NOT_UPDATED: ReadonlySet<string> = new Set([
  // Of the connection, or between two neighbours on the way: never stored (RFC 9111 §3.1).
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // For the one client that the newer response answers (RFC 9111 §7.3).
  'set-cookie',
  'set-cookie2',
  // They tell how the stored bytes are to be read: those of a 304 cannot make other bytes of them (RFC 9111 §3.2).
  'content-encoding',
  'content-length',
  'content-range',
])

/**
 * Brings the fields of a stored response up to date with those of a newer response for it: each field of the newer one
 * takes the place of all lines of its name, others stay. Date and Age are those of the newer response, or none.
 *
 * @see RFC 9111 §3.2
 */
export function updatedFields(stored: readonly string[], newer: readonly string[]): string[] {
  const connection = fieldValue(newer, 'connection')
  const excepted = new Set([...NOT_UPDATED, ...((connection && tokenList(connection)) || [])])
  const added = withoutFields(newer, excepted)
  // A Date or an Age that the newer response does not repeat would make it seem as old as the stored one.
  const replaced = new Set(['age', 'date'])
  for (let i = 0; i < added.length; i += 2) replaced.add(added[i]!)
  const fields = withoutFields(stored, replaced)
  for (const text of added) fields.push(text)
  return fields
}
