import type { HeaderEdit, QueryEdit } from '@postern/contracts'
import { goesBy } from './header-names.ts'

/** Header edits as options have them. */
export interface HeaderEdits {
  /** Replaces every line of the name. */
  readonly set?: Readonly<Record<string, string>>
  /** Adds a line. */
  readonly append?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

/** `{ remove, set, append }` as a list, in that order. */
export function headerEditList(edits: HeaderEdits | undefined): readonly HeaderEdit[] | undefined {
  if (edits === undefined) return undefined
  const list: HeaderEdit[] = []
  for (const name of edits.remove ?? []) list.push({ op: 'remove', name: name.toLowerCase() })
  for (const [name, value] of Object.entries(edits.set ?? {})) list.push({ op: 'set', name: name.toLowerCase(), value })
  for (const [name, value] of Object.entries(edits.append ?? {})) {
    list.push({ op: 'append', name: name.toLowerCase(), value })
  }
  return list.length === 0 ? undefined : list
}

/**
 * Applies edits to a flat list of request headers, in place. What is set or removed is gone under every spelling that an
 * upstream could take for the name, so that a client cannot put its own beside it.
 */
export function editRequestHeaders(headers: string[], edits: readonly HeaderEdit[]): void {
  for (const edit of edits) {
    const name = edit.name.toLowerCase()
    if (edit.op !== 'append') {
      let kept = 0
      for (let i = 0; i < headers.length; i += 2) {
        if (goesBy(headers[i]!, name)) continue
        headers[kept] = headers[i]!
        headers[kept + 1] = headers[i + 1]!
        kept += 2
      }
      headers.length = kept
    }
    if (edit.op !== 'remove') headers.push(name, edit.value ?? '')
  }
}

/** Applies edits to response headers (lower-case names), in place. */
export function editResponseHeaders(headers: Record<string, string | string[]>, edits: readonly HeaderEdit[]): void {
  for (const edit of edits) {
    const name = edit.name.toLowerCase()
    if (edit.op === 'remove') delete headers[name]
    else if (edit.op === 'set') headers[name] = edit.value ?? ''
    else {
      const before = headers[name]
      const value = edit.value ?? ''
      if (before === undefined) headers[name] = value
      else headers[name] = Array.isArray(before) ? [...before, value] : [before, value]
    }
  }
}

/**
 * Applies edits to a query string. An edit touches only its own parameter: everything else stays byte for byte, in
 * order (`+`, `%20`, empty parts, brackets).
 *
 * @param query with its `?`, or empty
 */
export function editQuery(query: string, edits: readonly QueryEdit[]): string {
  let parts = query.length > 1 ? query.slice(1).split('&') : []
  let changed = false
  for (const { op, name, value } of edits) {
    if (op !== 'append') {
      const kept = parts.filter((part) => parameterName(part) !== name)
      changed ||= kept.length !== parts.length
      parts = kept
    }
    if (op !== 'remove') {
      parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(value ?? '')}`)
      changed = true
    }
  }
  if (!changed) return query
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function parameterName(part: string): string {
  const equals = part.indexOf('=')
  const raw = (equals === -1 ? part : part.slice(0, equals)).replaceAll('+', ' ')
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw
  }
}
