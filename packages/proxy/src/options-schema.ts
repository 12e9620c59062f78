import type { Logger } from '@postern/contracts'
import * as v from 'valibot'
import type { BodyTransforms, RequestHook, ResponseHook } from './hooks.ts'
import { isHopByHopResponse } from './message/header-names.ts'
import type { Transport } from './transport/transport.ts'

const MAX_TIMER = 2 ** 31 - 1

function whole(min: number, max: number) {
  const wanted = `expected a whole number from ${min} to ${max}`
  return v.optional(v.pipe(v.number(wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(max, wanted)))
}

function callable<T>(wanted: string) {
  return v.optional(v.custom<T>((value) => typeof value === 'function', `expected ${wanted}`))
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const headerName = v.pipe(v.string('expected a header name'), v.regex(TOKEN, 'not a header name'))
const headerValue = v.pipe(
  v.string('expected a string'),
  v.regex(FIELD_VALUE, 'not a header value: control characters'),
)
const headerRecord = v.optional(
  v.pipe(
    v.record(headerName, headerValue, 'expected an object of header names to values'),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      for (const [key, value] of Object.entries(dataset.value)) {
        if (!isFraming(key)) continue
        const path = [{ type: 'object', origin: 'value', input: dataset.value, key, value }] as const
        addIssue({
          message: 'belongs to the framing of each connection, which the proxy writes itself',
          path: [path[0]],
        })
      }
    }),
  ),
)
/** Fields that say where a message ends or how its connection is used: an edit would break what they describe. */
function isFraming(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'content-length' || isHopByHopResponse(lower)
}

const headerEdits = v.optional(
  v.strictObject({
    set: headerRecord,
    append: headerRecord,
    remove: v.optional(v.array(headerName, 'expected a list of header names')),
  }),
)
/** A value that ends neither its attribute nor its line (RFC 6265 §4.1.1). */
function attribute(wanted: string) {
  return v.pipe(v.string(`expected ${wanted}`), v.regex(/^[\x20-\x3a\x3c-\x7e]*$/, `expected ${wanted}`))
}

/** Empty, or where a path may begin; it is sent as it stands. */
function isPathPrefix(value: unknown): boolean {
  return typeof value === 'string' && (value === '' || /^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/.test(value))
}

const pem = v.custom<string | Buffer>(
  (value) => typeof value === 'string' || Buffer.isBuffer(value),
  'expected PEM text or a Buffer',
)

const tls = v.strictObject({
  ca: v.optional(v.union([pem, v.array(pem)], 'expected PEM text, a Buffer, or a list of them')),
  cert: v.optional(pem),
  key: v.optional(pem),
  passphrase: v.optional(v.string('expected a string')),
  servername: v.optional(v.string('expected a host name')),
  rejectUnauthorized: v.optional(v.boolean('expected true or false')),
})
const targetObject = v.strictObject(
  {
    url: v.union([v.string(), v.instance(URL)], 'expected a URL'),
    id: v.optional(v.string('expected a string')),
    // Their ranges are the target's own business.
    weight: v.optional(v.any()),
    tier: v.optional(v.any()),
    socketPath: v.optional(v.string('expected the path of a socket')),
    tls: v.optional(tls),
    tags: v.optional(v.record(v.string(), v.string('expected a string'), 'expected an object of strings')),
  },
  'expected a URL or { url, … }',
)

const entries = {
  target: v.optional(v.lazy((input) => (typeof input === 'string' || input instanceof URL ? v.any() : targetObject))),
  tls: v.optional(tls),
  timeouts: v.optional(
    v.strictObject({
      queueMs: whole(0, MAX_TIMER),
      connectMs: whole(0, MAX_TIMER),
      headersMs: whole(0, MAX_TIMER),
      bodyIdleMs: whole(0, MAX_TIMER),
      totalMs: whole(0, MAX_TIMER),
    }),
  ),
  connections: v.optional(
    v.strictObject({ max: whole(1, 100_000), maxQueued: whole(0, 100_000), keepAliveMs: whole(1, 600_000) }),
  ),
  allowH2: v.optional(v.boolean('expected true or false')),
  transport: v.optional(
    v.custom<Transport>(
      (value) => typeof (value as Transport | null)?.connect === 'function' && 'features' in (value as object),
      'expected a transport, such as httpProxyMiddleware(options)',
    ),
  ),
  host: v.optional(v.picklist(['target', 'preserve'], 'expected "target" or "preserve"')),
  forwarded: v.optional(
    v.picklist(['x-forwarded', 'rfc7239', 'both', 'none'], 'expected "x-forwarded", "rfc7239", "both" or "none"'),
  ),
  paths: v.optional(
    v.strictObject({
      encodedSlashes: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
      repeatedSlashes: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
      encodedUnreserved: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
      pathParameters: v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"')),
    }),
  ),
  overrideHeaders: v.optional(v.picklist(['remove', 'pass'], 'expected "remove" or "pass"')),
  maxRequestBodyBytes: whole(0, Number.MAX_SAFE_INTEGER),
  maxResponseHeaderBytes: whole(1024, 1_048_576),
  requestHeaders: headerEdits,
  responseHeaders: headerEdits,
  rewritePath: v.optional(
    v.custom<Readonly<Record<string, string>> | ((path: string) => string)>(
      (value) =>
        typeof value === 'function' ||
        (typeof value === 'object' &&
          value !== null &&
          !Array.isArray(value) &&
          Object.entries(value).every(([from, to]) => from.startsWith('/') && isPathPrefix(to))),
      'expected a function, or a table of prefixes to prefixes, that start with "/"',
    ),
  ),
  location: v.optional(v.picklist(['rewrite', 'pass'], 'expected "rewrite" or "pass"')),
  cookies: v.optional(
    v.strictObject({
      domain: v.optional(v.nullable(attribute('a domain or null'))),
      path: v.optional(
        v.union(
          [attribute('a path'), v.record(v.string(), attribute('a path'))],
          'expected a path, or a table of old path to new',
        ),
      ),
      secure: v.optional(v.boolean('expected true or false')),
      sameSite: v.optional(v.picklist(['strict', 'lax', 'none'], 'expected "strict", "lax" or "none"')),
    }),
  ),
  onRequest: callable<RequestHook>('a function (exchange, request) => void | Promise<void>'),
  onResponse: callable<ResponseHook>('a function (exchange, response) => void | Promise<void>'),
  transforms: v.optional(
    v.strictObject({
      request: callable<BodyTransforms['request']>('a function (exchange, request) => Transform | undefined'),
      response: callable<BodyTransforms['response']>('a function (exchange, response) => Transform | undefined'),
      maxBytes: whole(1, Number.MAX_SAFE_INTEGER),
    }),
  ),
  fallthrough: v.optional(
    v.array(
      v.pipe(
        v.number('expected a status'),
        v.integer('expected a status'),
        v.minValue(300, 'expected a status from 300'),
        v.maxValue(599, 'expected a status up to 599'),
      ),
      'expected a list of statuses',
    ),
  ),
  maxHops: whole(1, 100),
  errors: v.optional(v.picklist(['respond', 'next'], 'expected "respond" or "next"')),
  log: v.optional(
    v.custom<Pick<Logger, 'warn' | 'error'>>(
      (value) => typeof (value as Logger | null)?.warn === 'function' && typeof (value as Logger).error === 'function',
      'expected a logger with warn() and error()',
    ),
  ),
}

/** Everything that `proxy()` takes. */
export const optionsSchema = v.strictObject(entries)

/** Known keys at a path, for "did you mean". */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  if (path.length === 0) return Object.keys(entries)
  if (path.at(-1) === 'tls') return Object.keys(tls.entries)
  if (path[0] === 'target') return Object.keys(targetObject.entries)
  const nested = (entries as Record<string, { wrapped?: { entries?: object } }>)[String(path[0])]?.wrapped?.entries
  return path.length === 1 && nested !== undefined ? Object.keys(nested) : []
}
