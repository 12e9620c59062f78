import type { IncomingMessage } from 'node:http'

/** The fields that make a request conditional for a cache (RFC 9111 §4.3.1). */
export interface ConditionalFields {
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
}

/**
 * Gives a request the cache's conditions in place of the client's, for all who read it from here on: the raw lines and the
 * parsed fields. Undefined takes a condition away.
 */
export function setConditions(req: IncomingMessage, { ifNoneMatch, ifModifiedSince }: ConditionalFields): void {
  const { headers } = req
  req.rawHeaders = withConditions(req.rawHeaders, ifNoneMatch, ifModifiedSince)
  set(headers, 'if-none-match', ifNoneMatch)
  set(headers, 'if-modified-since', ifModifiedSince)
}

/** The raw lines of a request with other conditions. */
export function withConditions(
  rawHeaders: readonly string[],
  ifNoneMatch: string | undefined,
  ifModifiedSince: string | undefined,
): string[] {
  const lines: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if ((name.length === 13 || name.length === 17) && isCondition(name.toLowerCase())) continue
    lines.push(name, rawHeaders[i + 1]!)
  }
  if (ifNoneMatch !== undefined) lines.push('If-None-Match', ifNoneMatch)
  if (ifModifiedSince !== undefined) lines.push('If-Modified-Since', ifModifiedSince)
  return lines
}

function isCondition(name: string): boolean {
  return name === 'if-none-match' || name === 'if-modified-since'
}

function set(headers: IncomingMessage['headers'], name: string, value: string | undefined): void {
  if (value === undefined) delete headers[name]
  else headers[name] = value
}
