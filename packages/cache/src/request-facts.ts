import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { clientOf, type Exchange, type Identity, isEncrypted, isPeerTrusted, warnOnce } from '@postern/contracts'
import type { CacheRequest } from './cache-request.ts'
import type { ResolvedCacheOptions } from './options.ts'
import { parseRequestDirectives, type RequestDirectives } from './rules/directives.ts'
import { editedQuery, effectiveUri } from './rules/key.ts'

/** Why a request goes past the cache; for `detail` in Cache-Status. */
export type BypassReason = 'request-content' | 'upgrade' | 'bad-request' | 'option' | 'option-failed'

/**
 * Fields that no cache key has and that some applications answer by all the same: who reads them tells one answer for
 * two requests of the same URI. They are taken for part of the key, so that nobody can leave an answer of his choosing for others.
 */
const UNKEYED = new Set([
  'front-end-https',
  'x-forwarded-host',
  'x-forwarded-path',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-protocol',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-host',
  'x-http-host-override',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
  'x-script-name',
  'x-url-scheme',
])

/** A request as the cache sees it: its head, read in one pass over the raw lines. */
export class RequestFacts implements CacheRequest {
  readonly method: string
  /** Name under which the store has the resource: the URI, and behind it whose responses these are when not all share them. */
  readonly key: string
  readonly uri: string
  readonly partition: string
  /** What the key has beside the URI; usually empty. */
  readonly suffix: string
  readonly authorized: boolean
  readonly hasCookie: boolean
  readonly directives: RequestDirectives | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
  readonly range: string | undefined
  readonly ifRange: string | undefined
  readonly #exchange: Exchange

  constructor(exchange: Exchange, head: Head, uri: string, partition: string, suffix: string, authorized: boolean) {
    this.#exchange = exchange
    this.method = exchange.request.method ?? 'GET'
    this.uri = uri
    this.suffix = suffix
    this.key = suffix === '' ? uri : `${uri}\n${suffix}`
    this.partition = partition
    this.authorized = authorized
    this.hasCookie = head.hasCookie
    this.directives =
      head.cacheControl === undefined && head.pragma === undefined
        ? undefined
        : parseRequestDirectives(head.cacheControl, head.pragma)
    this.ifNoneMatch = head.ifNoneMatch
    this.ifModifiedSince = head.ifModifiedSince
    this.range = head.range
    this.ifRange = head.ifRange
  }

  field(name: string): string | undefined {
    const edits = this.#exchange.outgoing.requestHeaders
    if (edits !== undefined) {
      // What an earlier stage sets is what the origin reads.
      for (let i = edits.length - 1; i >= 0; i--) {
        const edit = edits[i]!
        if (edit.op !== 'append' && edit.name.toLowerCase() === name) return edit.value
      }
    }
    const value = this.#exchange.request.headers[name]
    return typeof value === 'object' ? value.join(', ') : value
  }
}

/** What one pass over the raw lines finds. */
interface Head {
  host: string | undefined
  hosts: number
  cacheControl: string | undefined
  pragma: string | undefined
  ifNoneMatch: string | undefined
  ifModifiedSince: string | undefined
  range: string | undefined
  ifRange: string | undefined
  hasAuthorization: boolean
  hasCookie: boolean
  hasContent: boolean
  hasUpgrade: boolean
  unkeyed: string
}

/** Reads a request, or says why it goes past the cache. */
export function readRequest(
  req: IncomingMessage,
  exchange: Exchange,
  options: ResolvedCacheOptions,
): RequestFacts | BypassReason {
  const head = readHead(req.rawHeaders)
  if (head.hasUpgrade || exchange.upgrade !== undefined) return 'upgrade'
  // A body may change the answer, and no key knows it (RFC 9110 §9.3.1: content of a GET has no defined meaning).
  if (head.hasContent && req.method !== 'POST') return 'request-content'
  if (head.hosts > 1) return 'bad-request'
  if (options.ignoreClientCacheControl) {
    head.cacheControl = undefined
    head.pragma = undefined
  }
  const uri = uriOf(req, head.host ?? '', options)
  if (uri === undefined) return 'bad-request'
  let owner: string
  let suffix: string
  try {
    if (options.bypass?.(req) === true) return 'option'
    owner = ownerOf(req, exchange, options)
    suffix = suffixOf(req, owner, options)
  } catch (error) {
    // Whose answers these are is not known then, so nobody gets them from the store.
    warnOfOption(options.name, 'bypass, key or partition', error)
    return 'option-failed'
  }
  const authorized = owner === '' && (head.hasAuthorization || exchange.identity !== undefined)
  return new RequestFacts(exchange, head, uri, partitionOf(exchange, head, options), suffix, authorized)
}

/** Tells once of a function among the options that has thrown. */
export function warnOfOption(cache: string, option: string, error: unknown): void {
  warnOnce(
    'POSTERN_CACHE_OPTION_FAILED',
    `a function among the options of the cache "${cache}" failed (${option}), and what it was asked about went past the store: ${inspect(error)}`,
    `${cache} ${option}`,
  )
}

/** What few values tell apart: they stand beside each other behind one key. */
function partitionOf(exchange: Exchange, { unkeyed }: Head, { space }: ResolvedCacheOptions): string {
  const route = exchange.route?.id
  if (route === undefined) return unkeyed === '' ? space : `${space}\n${unkeyed}`
  return unkeyed === '' ? `${space}\n${route}` : `${space}\n${route}\n${unkeyed}`
}

/** What many values tell apart: each has a key of its own. */
function suffixOf(req: IncomingMessage, owner: string, options: ResolvedCacheOptions): string {
  const custom = options.key?.(req) ?? ''
  if (custom === '') return owner
  return `${digest(custom)} ${owner}`
}

/** The URI that a request is about. @returns undefined when it has none that could be a key */
export function uriOf(req: IncomingMessage, host: string, options: ResolvedCacheOptions): string | undefined {
  // Express keeps the whole target in `originalUrl` and takes the mount path off `url`.
  const target = (req as { originalUrl?: string }).originalUrl ?? req.url ?? ''
  const client = isPeerTrusted(req) ? clientOf(req) : undefined
  const authority = client?.host ?? host
  if (authority === '' || target === '' || target === '*') return undefined
  const uri = effectiveUri(client?.protocol ?? (isEncrypted(req) ? 'https' : 'http'), authority, target)
  return keyUri(uri, options)
}

/** A URI with the query parameters that are part of the key. */
export function keyUri(uri: string, options: ResolvedCacheOptions): string {
  return options.editsQuery ? editedQuery(uri, options.ignoredParameters, options.sortQuery) : uri
}

function ownerOf(req: IncomingMessage, exchange: Exchange, { partition }: ResolvedCacheOptions): string {
  if (partition === undefined) return ''
  if (partition === 'identity') return exchange.identity === undefined ? '' : ownerText(exchange.identity)
  const owner = partition(req)
  return owner === undefined || owner === '' ? '' : digest(owner)
}

/** The caller with what he may do: the same subject with another token may get another answer. */
function ownerText({ scheme, subject, scopes, roles }: Identity): string {
  return digest(JSON.stringify([scheme, subject, scopes, roles]))
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function readHead(raw: readonly string[]): Head {
  const head: Head = {
    host: undefined,
    hosts: 0,
    cacheControl: undefined,
    pragma: undefined,
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    range: undefined,
    ifRange: undefined,
    hasAuthorization: false,
    hasCookie: false,
    hasContent: false,
    hasUpgrade: false,
    unkeyed: '',
  }
  for (let i = 0; i < raw.length; i += 2) readField(head, raw[i]!, raw[i + 1]!)
  return head
}

function readField(head: Head, rawName: string, value: string): void {
  // Most fields are of no interest; their length tells without making a lower-case copy.
  switch (rawName.length) {
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 13:
    case 14:
    case 17:
      break
    default:
      if (rawName.length > 9) noteUnkeyed(head, rawName, value)
      return
  }
  switch (rawName.toLowerCase()) {
    case 'host':
      head.host = value
      head.hosts++
      break
    case 'range':
      head.range = head.range === undefined ? value : `${head.range}, ${value}`
      break
    case 'cookie':
      head.hasCookie = true
      break
    case 'pragma':
      head.pragma = joined(head.pragma, value)
      break
    case 'upgrade':
      head.hasUpgrade = true
      break
    case 'if-range':
      head.ifRange = joined(head.ifRange, value)
      break
    case 'cache-control':
      head.cacheControl = joined(head.cacheControl, value)
      break
    case 'if-none-match':
      head.ifNoneMatch = joined(head.ifNoneMatch, value)
      break
    case 'authorization':
      head.hasAuthorization = true
      break
    case 'content-length':
      if (value !== '0') head.hasContent = true
      break
    case 'transfer-encoding':
      head.hasContent = true
      break
    case 'if-modified-since':
      head.ifModifiedSince = joined(head.ifModifiedSince, value)
      break
    default:
      noteUnkeyed(head, rawName, value)
  }
}

function noteUnkeyed(head: Head, rawName: string, value: string): void {
  const first = rawName.charCodeAt(0) | 0x20
  if (first !== 0x78 && first !== 0x66) return
  const name = rawName.toLowerCase().replaceAll('_', '-')
  if (UNKEYED.has(name)) head.unkeyed += `${name}:${value}\n`
  else if (name === 'forwarded') {
    // Only its host and protocol change an answer for others; the addresses differ with every client.
    for (const part of value.matchAll(/(?:host|proto)=[^;,]*/gi)) head.unkeyed += `${name}:${part[0].toLowerCase()}\n`
  }
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`
}
