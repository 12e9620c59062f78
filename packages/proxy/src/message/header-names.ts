/** What the proxy does with a header of the client's request. */
export const HeaderClass = {
  /** End-to-end: goes on as it came. */
  Forward: 0,
  /** Hop-by-hop, or never to be forwarded: dropped (RFC 9110 §7.6.1). */
  Drop: 1,
  Host: 2,
  ContentLength: 3,
  TransferEncoding: 4,
  Connection: 5,
  Te: 6,
  Via: 7,
  /** Says who the client is: `X-Forwarded-*`, `Forwarded`, `X-Real-IP`. Rebuilt. */
  Forwarded: 8,
  /** Asks an upstream to read the request as another one: `X-HTTP-Method-Override`, `X-Original-URL`. */
  Override: 9,
  Upgrade: 10,
  /** Goes on, once: of a second line Node shows `req.headers` nothing, while an upstream may read that one. */
  Authorization: 11,
  ContentType: 12,
} as const
export type HeaderClass = (typeof HeaderClass)[keyof typeof HeaderClass]

const BY_NAME = new Map<string, HeaderClass>([
  ['host', HeaderClass.Host],
  ['content-length', HeaderClass.ContentLength],
  ['transfer-encoding', HeaderClass.TransferEncoding],
  ['connection', HeaderClass.Connection],
  ['te', HeaderClass.Te],
  ['via', HeaderClass.Via],
  ['upgrade', HeaderClass.Upgrade],
  ['authorization', HeaderClass.Authorization],
  ['content-type', HeaderClass.ContentType],
  ['keep-alive', HeaderClass.Drop],
  ['proxy-connection', HeaderClass.Drop],
  ['proxy-authorization', HeaderClass.Drop],
  ['proxy-authenticate', HeaderClass.Drop],
  // The edge settles `Expect` itself: Node answers 100 or 417 before any handler runs.
  ['expect', HeaderClass.Drop],
  // Request trailers are not forwarded, so their announcement is not either.
  ['trailer', HeaderClass.Drop],
  // h2c is never offered to an upstream on a client's word.
  ['http2-settings', HeaderClass.Drop],
  // CGI-style upstreams would read it as HTTP_PROXY (httpoxy, CVE-2016-5385).
  ['proxy', HeaderClass.Drop],
  ['forwarded', HeaderClass.Forwarded],
  ['x-real-ip', HeaderClass.Forwarded],
  ['x-client-ip', HeaderClass.Forwarded],
  ['x-original-url', HeaderClass.Override],
  ['x-original-uri', HeaderClass.Override],
  ['x-rewrite-url', HeaderClass.Override],
  ['x-http-method', HeaderClass.Override],
  ['x-http-method-override', HeaderClass.Override],
  ['x-method-override', HeaderClass.Override],
])

/** Spellings seen so far; bounded, so that a client cannot make it grow. */
const seen = new Map<string, HeaderClass>()
const SEEN_LIMIT = 2048

/**
 * The class of a header by its name as sent, in any case. A name that equals a special one with `_` for `-` is dropped:
 * CGI-style upstreams cannot tell the two apart.
 */
export function classify(name: string): HeaderClass {
  const known = seen.get(name)
  if (known !== undefined) return known
  const result = classOf(name.toLowerCase())
  if (seen.size < SEEN_LIMIT && name.length <= 64) seen.set(name, result)
  return result
}

function classOf(lower: string): HeaderClass {
  const direct = BY_NAME.get(lower) ?? family(lower)
  if (direct !== undefined) return direct
  if (lower.includes('_')) {
    const dashed = lower.replaceAll('_', '-')
    if (BY_NAME.has(dashed) || family(dashed) !== undefined) return HeaderClass.Drop
  }
  return HeaderClass.Forward
}

function family(lower: string): HeaderClass | undefined {
  if (lower.startsWith('x-forwarded-')) return HeaderClass.Forwarded
  // Ours alone: no client may set them.
  if (lower.startsWith('x-postern-')) return HeaderClass.Drop
  return undefined
}

/**
 * True when a field of a request goes by that name for an upstream: in any case, and, since CGI-style upstreams cannot
 * tell the two apart, with `_` where the name has `-`.
 *
 * @param sent the name as it was sent
 * @param name lower case
 */
export function goesBy(sent: string, name: string): boolean {
  if (sent.length !== name.length) return false
  const lower = sent.toLowerCase()
  return lower === name || (lower.includes('_') && lower.replaceAll('_', '-') === name)
}

/**
 * End-to-end fields that a client's `Connection` list cannot take away: what the gateway and its upstream decide by.
 * Everything else that it names is hop-by-hop and goes.
 */
const PROTECTED = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'idempotency-key',
  'origin',
  'range',
  'referer',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-request-id',
])

/**
 * The names that a `Connection` header declares hop-by-hop, lower case, without the connection options that are not
 * header names; undefined when there are none (the usual case).
 */
export function connectionNames(value: string, into?: Set<string>): Set<string> | undefined {
  if (value === 'keep-alive' || value === 'close' || value === 'Keep-Alive') return into
  let names = into
  for (const part of value.split(',')) {
    const name = part.trim().toLowerCase()
    if (name === '' || name === 'close' || name === 'keep-alive' || name === 'upgrade' || PROTECTED.has(name)) continue
    names ??= new Set()
    names.add(name)
  }
  return names
}

/** True for response fields that belong to one connection only (RFC 9110 §7.6.1). */
export function isHopByHopResponse(lower: string): boolean {
  switch (lower) {
    case 'connection':
    case 'keep-alive':
    case 'proxy-connection':
    case 'proxy-authenticate':
    case 'proxy-authentication-info':
    case 'te':
    case 'trailer':
    case 'transfer-encoding':
    case 'upgrade':
    case 'http2-settings':
      return true
    default:
      return false
  }
}

/**
 * True for fields that may not come as trailers: framing, routing, request modifiers, authentication, and what decides
 * about the content or the cache (RFC 9110 §6.5.1).
 */
export function isForbiddenTrailer(lower: string): boolean {
  if (isHopByHopResponse(lower)) return true
  switch (lower) {
    case 'authorization':
    case 'cache-control':
    case 'content-encoding':
    case 'content-length':
    case 'content-range':
    case 'content-type':
    case 'cookie':
    case 'date':
    case 'expires':
    case 'host':
    case 'location':
    case 'max-forwards':
    case 'pragma':
    case 'range':
    case 'retry-after':
    case 'set-cookie':
    case 'vary':
    case 'warning':
    case 'www-authenticate':
      return true
    default:
      return false
  }
}
