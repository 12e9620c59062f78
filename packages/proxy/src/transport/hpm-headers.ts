import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { ResponseHeaders, UpstreamRequest } from './transport.ts'

/**
 * The headers of an upstream request as node:http takes them: one entry a name, lines of the same name as an array,
 * spelt as the first line was. Chunked framing is left out: the transport writes it once the request object exists.
 *
 * @param targetHost the `Host` of the target, for requests that do not bring their own
 */
export function toRequestHeaders(request: UpstreamRequest, targetHost: string): OutgoingHttpHeaders {
  // No prototype: a field may be called `__proto__`.
  const headers: OutgoingHttpHeaders = Object.create(null)
  headers.host = request.host ?? targetHost
  const spelling = new Map<string, string>()
  const raw = request.headers
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const lower = name.toLowerCase()
    // An expectation is settled at the edge; here it would have the head written before any handler has seen it.
    if (lower === 'expect') continue
    const known = spelling.get(lower)
    if (known === undefined) {
      spelling.set(lower, name)
      headers[name] = raw[i + 1]!
      continue
    }
    const before = headers[known]
    if (Array.isArray(before)) before.push(raw[i + 1]!)
    else headers[known] = [before as string, raw[i + 1]!]
  }
  if (request.body !== undefined && request.contentLength !== undefined) {
    headers['content-length'] = String(request.contentLength)
  }
  return headers
}

/** Raw header lines with lower-case names; lines of the same name as an array, nothing merged and nothing dropped. */
export function toResponseHeaders(raw: readonly string[]): ResponseHeaders {
  const headers: ResponseHeaders = Object.create(null)
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    const value = raw[i + 1]!
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (Array.isArray(before)) before.push(value)
    else headers[name] = [before, value]
  }
  return headers
}

/** A copy to compare with later. */
export function copyHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const copy = { ...headers }
  for (const name in copy) {
    const value = copy[name]
    if (Array.isArray(value)) copy[name] = value.slice()
  }
  return copy
}

/**
 * Brings what a handler has changed in Node's merged `headers` into our own, in place; lines that it left alone stay as
 * they came.
 */
export function applyChanges(headers: ResponseHeaders, before: IncomingHttpHeaders, after: IncomingHttpHeaders): void {
  for (const name in before) if (after[name] === undefined) delete headers[name.toLowerCase()]
  for (const name in after) {
    const value: unknown = after[name]
    if (value === undefined || isSame(before[name], value)) continue
    headers[name.toLowerCase()] = Array.isArray(value) ? value.map(String) : String(value)
  }
}

function isSame(before: unknown, after: unknown): boolean {
  if (!Array.isArray(before) || !Array.isArray(after)) return before === after
  return before.length === after.length && before.every((line, i) => line === after[i])
}
