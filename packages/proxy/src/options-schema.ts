import type { Logger } from '@postern/contracts'
import * as v from 'valibot'
import { deadlineEntries } from './deadline.ts'
import type { BodyTransforms, RequestHook, ResponseHook } from './hooks.ts'
import { mirrorSchema } from './mirror/options.ts'
import { budgetSchema, hedgingSchema, retriesSchema } from './retry/options.ts'
import {
  callable,
  headerName,
  headerRecord,
  MAX_TIMER_MS,
  targetInput,
  targetObject,
  tls,
  whole,
} from './schema-parts.ts'
import type { Transport } from './transport/transport.ts'

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

const entries = {
  target: v.optional(targetInput),
  tls: v.optional(tls),
  timeouts: v.optional(
    v.strictObject({
      queueMs: whole(0, MAX_TIMER_MS),
      connectMs: whole(0, MAX_TIMER_MS),
      headersMs: whole(0, MAX_TIMER_MS),
      bodyIdleMs: whole(0, MAX_TIMER_MS),
      totalMs: whole(0, MAX_TIMER_MS),
    }),
  ),
  deadline: v.optional(v.strictObject({ header: deadlineEntries.header, forward: deadlineEntries.forward })),
  retries: v.optional(v.lazy((input) => (input === false ? v.literal(false) : retriesSchema))),
  retryBudget: v.optional(budgetSchema),
  hedging: v.optional(v.lazy((input) => (typeof input === 'boolean' ? v.boolean() : hedgingSchema))),
  mirror: mirrorSchema,
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

/** Options of options whose schema is not seen from outside. */
const NESTED: Readonly<Record<string, object>> = {
  retries: retriesSchema.entries,
  retryBudget: budgetSchema.entries,
  hedging: hedgingSchema.entries,
}

/** Known keys at a path, for "did you mean". */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  if (path.length === 0) return Object.keys(entries)
  if (path.at(-1) === 'tls') return Object.keys(tls.entries)
  if (path.at(-1) === 'target') return Object.keys(targetObject.entries)
  const first = String(path[0])
  const wrapped = (entries as Record<string, { wrapped?: { entries?: object } }>)[first]?.wrapped?.entries
  const nested = NESTED[first] ?? wrapped
  return path.length === 1 && nested !== undefined ? Object.keys(nested) : []
}
