import type { IncomingMessage } from 'node:http'
import { type Clock, ConfigError, type ErrorMode, faultsOf, systemClock } from '@postern/contracts'
import * as v from 'valibot'
import { clockOption, fieldName, functionOption, MAX_MS, milliseconds, whole, within } from './option-parts.ts'
import type { CacheRules } from './rules/cache-rules.ts'
import type { CacheStore } from './store/cache-store.ts'

/** A method whose responses a cache can store (RFC 9110 §9.2.3). */
export type CacheableMethod = 'GET' | 'HEAD' | 'POST'

/** How freshness is estimated where a response says nothing of it but when it was last modified (RFC 9111 §4.2.2). */
export interface HeuristicOptions {
  /** Share of the time since then, 0 to 1. @default 0.1 */
  readonly share?: number
  /** Never longer, in milliseconds, 0 to 2^31-1. @default 86_400_000, a day */
  readonly maxMs?: number
}

/** How equal requests wait for the first of them. */
export interface CoalescingOptions {
  /** Longest wait, in milliseconds, 1 to 2^31-1; after it a request goes on its own. @default 10_000 */
  readonly maxWaitMs?: number
}

/** Which query parameters are part of the key. What the upstream is sent stays as it came. */
export interface QueryOptions {
  /**
   * Parameters that do not change the answer, such as `utm_*`; a `*` at the end stands for anything. Ignoring one that does
   * change it gives clients each other's answers. @default none
   */
  readonly ignore?: readonly string[]
  /** `?a=1&b=2` and `?b=2&a=1` are one. @default false */
  readonly sort?: boolean
}

/** The head of a response, for {@link CacheOptions.tags}. */
export interface ResponseFacts {
  readonly status: number
  /** The value of a field, by name; several lines are joined with `, `. */
  field(name: string): string | undefined
}

/** Options of {@link cache}. */
export interface CacheOptions {
  /** Where responses are kept; two caches may share one. @default memoryStore(), 64 MiB of this process's memory */
  readonly store?: CacheStore
  /**
   * Whose responses are stored. POST also needs explicit freshness and a Content-Location that is the URI (RFC 9110
   * §9.3.3). @default ['GET', 'HEAD']
   */
  readonly methods?: readonly CacheableMethod[]
  /** Status codes that may be stored. @default all that RFC 9111 allows */
  readonly statuses?: readonly number[]
  /**
   * Freshness lifetime of responses that say nothing of it, in milliseconds, 0 to 2^31-1. For origins that you know: what they
   * meant to be private is then stored as well, unless they say so. Not for requests with cookies or credentials, whose
   * answers need a lifetime of the origin's own or `public`. @default none
   */
  readonly defaultTtlMs?: number
  /**
   * Freshness estimated from Last-Modified, for requests without cookies and credentials only; `false`: none.
   * @default { share: 0.1, maxMs: 86_400_000 }
   */
  readonly heuristics?: HeuristicOptions | false
  /**
   * Fields that tell this cache something else than other caches, the first that a response has counts alone (RFC 9213).
   * @default ['Postern-Cache-Control', 'CDN-Cache-Control']
   */
  readonly targeted?: readonly string[]
  /**
   * `'refuse'`: a response with Set-Cookie is stored only when it is `public`, or takes the cookie out itself
   * (`no-cache="set-cookie"`, `private="set-cookie"`). `'strip'`: it is stored as any other. Either way
   * without its cookies; who gets it from the store gets none. @default 'refuse'
   */
  readonly setCookie?: 'refuse' | 'strip'
  /** Clients cannot force revalidation with Cache-Control and Pragma. @default false */
  readonly ignoreClientCacheControl?: boolean
  /** True for requests that go past the cache: neither answered from it nor stored. @default none do */
  readonly bypass?: (req: IncomingMessage) => boolean
  /** A further part of the key: what beside the URI and `Vary` changes the answer. @default none */
  readonly key?: (req: IncomingMessage) => string
  /** Which query parameters are part of the key. @default all, in the order in which they came */
  readonly query?: QueryOptions
  /**
   * Keeps the responses of callers apart, so that answers to requests with Authorization or a verified identity may be
   * stored. `'identity'`: by `req.gateway.identity` (scheme, subject, scopes, roles), which an authentication stage mounted before
   * has put there. A function: by the text that it returns, undefined for requests that all share; it must return another
   * text for everyone who may get another answer. @default none: such answers are stored only when they say that all may have them (RFC 9111 §3.5)
   */
  readonly partition?: 'identity' | ((req: IncomingMessage) => string | undefined)
  /** Tags beside those of the fields `Cache-Tag` and `Surrogate-Key`. @default none */
  readonly tags?: (req: IncomingMessage, response: ResponseFacts) => readonly string[]
  /** Leaves `Cache-Tag` and `Surrogate-Key` in the answers, for a cache in front of this one. @default false */
  readonly exposeTags?: boolean
  /** Where a response does not say it: how long past its lifetime it is served while it is revalidated, in milliseconds (RFC 5861 §3). @default 0 */
  readonly staleWhileRevalidateMs?: number
  /** Where a response does not say it: how long past its lifetime it is served when the upstream fails, in milliseconds (RFC 5861 §4). @default 0 */
  readonly staleIfErrorMs?: number
  /** Equal requests wait for the first and share its answer, when that may be shared. @default true */
  readonly coalescing?: boolean | CoalescingOptions
  /** Longest content that is stored, in bytes; never more than the store takes. @default what the store takes */
  readonly maxObjectBytes?: number
  /** Most bytes that all responses on their way into the store may hold together; what goes beyond is passed on and not stored. @default 67_108_864 */
  readonly maxPendingBytes?: number
  /** Longest wait for the store, in milliseconds, 1 to 60,000; then the request is a miss. @default 100 */
  readonly storeTimeoutMs?: number
  /** The cache's name in `Cache-Status`; `false`: the field is not written (RFC 9211). @default 'Postern' */
  readonly cacheStatus?: string | false
  /** Keeps the responses of handlers apart that share a store, such as those of two upstreams. @default '' */
  readonly space?: string
  /** `'next'` hands errors to the app's error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Tells caches apart in events and warnings, 1 to 128 characters. @default 'cache' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** What {@link resolveOptions} makes of the options. */
export interface ResolvedCacheOptions extends CacheRules {
  readonly store: CacheStore | undefined
  readonly methods: ReadonlySet<string>
  readonly ignoreClientCacheControl: boolean
  readonly bypass: ((req: IncomingMessage) => boolean) | undefined
  readonly key: ((req: IncomingMessage) => string) | undefined
  readonly editsQuery: boolean
  readonly ignoredParameters: ReadonlySet<string>
  readonly sortQuery: boolean
  readonly partition: 'identity' | ((req: IncomingMessage) => string | undefined) | undefined
  readonly tags: ((req: IncomingMessage, response: ResponseFacts) => readonly string[]) | undefined
  readonly exposeTags: boolean
  /** Longest wait of a request for an equal one; 0: none waits. */
  readonly maxWaitMs: number
  readonly maxObjectBytes: number
  readonly maxPendingBytes: number
  readonly storeTimeoutMs: number
  readonly cacheStatus: string | undefined
  readonly space: string
  readonly errors: ErrorMode
  readonly name: string
  readonly clock: Clock
}

const NAME = 'not a name of 1 to 128 characters'
const status = whole(200, 599)
const name = v.pipe(v.string(NAME), v.nonEmpty(NAME), v.maxLength(128, NAME))
const statusName = v.pipe(v.string(NAME), v.regex(/^[\x20-\x7e]{1,128}$/, NAME))

const heuristics = v.strictObject(
  { share: v.optional(within(0, 1), 0.1), maxMs: v.optional(milliseconds, 86_400_000) },
  'not false or an object of options',
)
const coalescing = v.strictObject(
  { maxWaitMs: v.optional(whole(1, MAX_MS), 10_000) },
  'not a boolean or an object of options',
)
const query = v.strictObject(
  {
    ignore: v.optional(v.array(v.string('not a text'), 'not a list'), []),
    sort: v.optional(v.boolean('not a boolean'), false),
  },
  'not an object of options',
)

const schema = v.strictObject({
  store: v.optional(v.custom<CacheStore>(isStore, 'not a cache store')),
  methods: v.optional(v.array(v.picklist(['GET', 'HEAD', 'POST'], 'not "GET", "HEAD" or "POST"'), 'not a list'), [
    'GET',
    'HEAD',
  ]),
  statuses: v.optional(v.array(status, 'not a list')),
  defaultTtlMs: v.optional(milliseconds),
  heuristics: v.optional(heuristics, {}),
  targeted: v.optional(v.array(fieldName, 'not a list'), ['Postern-Cache-Control', 'CDN-Cache-Control']),
  setCookie: v.optional(v.picklist(['refuse', 'strip'], 'not "refuse" or "strip"'), 'refuse'),
  ignoreClientCacheControl: v.optional(v.boolean('not a boolean'), false),
  bypass: v.optional(functionOption<(req: IncomingMessage) => boolean>()),
  key: v.optional(functionOption<(req: IncomingMessage) => string>()),
  query: v.optional(query, {}),
  partition: v.optional(
    v.custom<'identity' | ((req: IncomingMessage) => string | undefined)>(
      (value) => value === 'identity' || typeof value === 'function',
      'not "identity" or a function',
    ),
  ),
  tags: v.optional(functionOption<NonNullable<CacheOptions['tags']>>()),
  exposeTags: v.optional(v.boolean('not a boolean'), false),
  staleWhileRevalidateMs: v.optional(milliseconds, 0),
  staleIfErrorMs: v.optional(milliseconds, 0),
  coalescing: v.optional(coalescing, {}),
  maxObjectBytes: v.optional(whole(0, Number.MAX_SAFE_INTEGER)),
  maxPendingBytes: v.optional(whole(0, Number.MAX_SAFE_INTEGER), 64 * 1024 * 1024),
  storeTimeoutMs: v.optional(whole(1, 60_000), 100),
  cacheStatus: v.optional(
    v.union([v.literal(false), statusName], 'not false or a name of 1 to 128 characters'),
    'Postern',
  ),
  space: v.optional(v.pipe(v.string('not a text'), v.maxLength(128, 'more than 128 characters')), ''),
  errors: v.optional(v.picklist(['respond', 'next'], 'not "respond" or "next"'), 'respond'),
  name: v.optional(name, 'cache'),
  clock: clockOption,
})

const PARTS: Readonly<Record<string, object>> = {
  heuristics: heuristics.entries,
  coalescing: coalescing.entries,
  query: query.entries,
}

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: CacheOptions): ResolvedCacheOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write cache() or cache({ defaultTtlMs: 60_000 })'
    throw new ConfigError('cache()', [{ path: '', message: 'not an options object', received: input, cure }])
  }
  const { heuristics: estimates, coalescing: waiting } = input
  const result = v.safeParse(schema, {
    ...input,
    ...(estimates === false ? { heuristics: { share: 0 } } : null),
    ...(typeof waiting === 'boolean' ? { coalescing: {} } : null),
  })
  if (!result.success) {
    throw new ConfigError(
      'cache()',
      faultsOf(result.issues, (path) => Object.keys(PARTS[String(path[0])] ?? schema.entries)),
    )
  }
  const {
    store,
    methods,
    statuses,
    heuristics: estimate,
    query: parameters,
    coalescing: waits,
    ...rest
  } = result.output
  return Object.freeze({
    targeted: rest.targeted,
    statuses: statuses === undefined ? undefined : new Set(statuses),
    defaultLifetimeMs: rest.defaultTtlMs,
    heuristicShare: estimate.share,
    heuristicMaxMs: estimate.maxMs,
    setCookie: rest.setCookie,
    staleWhileRevalidateMs: rest.staleWhileRevalidateMs,
    staleIfErrorMs: rest.staleIfErrorMs,
    tagFields: TAG_FIELDS,
    store,
    methods: new Set(methods),
    ignoreClientCacheControl: rest.ignoreClientCacheControl,
    bypass: rest.bypass,
    key: rest.key,
    editsQuery: parameters.sort || parameters.ignore.length > 0,
    ignoredParameters: new Set(parameters.ignore),
    sortQuery: parameters.sort,
    partition: rest.partition,
    tags: rest.tags,
    exposeTags: rest.exposeTags,
    maxWaitMs: waiting === false ? 0 : waits.maxWaitMs,
    maxObjectBytes: rest.maxObjectBytes ?? Number.MAX_SAFE_INTEGER,
    maxPendingBytes: rest.maxPendingBytes,
    storeTimeoutMs: rest.storeTimeoutMs,
    cacheStatus: rest.cacheStatus === false ? undefined : rest.cacheStatus,
    space: rest.space,
    errors: rest.errors,
    name: rest.name,
    clock: rest.clock ?? systemClock,
  })
}

/** Fields that carry tags: comma-separated and space-separated. */
export const TAG_FIELDS: readonly string[] = ['cache-tag', 'surrogate-key']

const STORE_METHODS = [
  'get',
  'readBody',
  'put',
  'update',
  'purge',
  'remove',
  'purgeTag',
  'purgeWhere',
  'close',
] as const

function isStore(value: unknown): boolean {
  const store = value as Partial<CacheStore> | null
  if (typeof store !== 'object' || store === null) return false
  return STORE_METHODS.every((name) => typeof store[name] === 'function') && typeof store.maxObjectBytes === 'number'
}
