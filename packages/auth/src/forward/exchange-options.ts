import * as v from 'valibot'
import { checkProviderUrl, type ProviderTls } from '../http-client.ts'
import { fieldName, MAX_MS, whole } from '../option-parts.ts'
import { PROVIDER_TLS_NAMES, providerTls } from '../provider-options.ts'

/** Options of the token exchange (RFC 8693). */
export interface TokenExchangeOptions {
  /** URL of the token endpoint; https, see {@link TokenExchangeOptions.allowHttp}. */
  readonly endpoint: string
  /** The gateway's own credentials at the endpoint. */
  readonly client: ExchangeClient
  /** Name, or names, of the services that the token is for (RFC 8693 §2.1). @default none is said */
  readonly audience?: string | readonly string[]
  /** URI, or URIs, of the services that the token is for, absolute and without a fragment (RFC 8707). @default none is said */
  readonly resource?: string | readonly string[]
  /** Scopes to ask for, with spaces between. @default none is said */
  readonly scope?: string
  /** What kind of token to ask for (RFC 8693 §3). @default none is said: the server decides */
  readonly requestedTokenType?: string
  /** What the client's token is (RFC 8693 §3). @default 'urn:ietf:params:oauth:token-type:access_token' */
  readonly subjectTokenType?: string
  /**
   * Schemes whose credentials are tokens of that server. No other credentials ever go there: whoever came by a password, a key
   * or a certificate is refused.
   * @default ['jwt', 'introspection']
   */
  readonly schemes?: readonly string[]
  /** Header that the new token is sent in: `authorization` as `Bearer`, any other the token alone. @default 'authorization' */
  readonly header?: string
  /** Longest wait for the answer, in milliseconds, 1 to 2^31-1. @default 3_000 */
  readonly timeoutMs?: number
  /** Tokens that are remembered, 1 to 1,000,000; each takes up to 16 KiB, as a rule 1 or 2. @default 10_000 */
  readonly maxEntries?: number
  /**
   * Longest time that a token is remembered, in milliseconds, 0 to 86,400,000; 0: none is. Never longer than `expires_in` says,
   * less a tenth; without `expires_in` not at all. A caller who is denied is not asked for again for 10 seconds.
   * @default 600_000
   */
  readonly maxCacheMs?: number
  /** Takes an `http:` endpoint. Whoever sits on the wire then reads tokens and credentials. @default false */
  readonly allowHttp?: boolean
  /** How the connection to the endpoint is secured. */
  readonly tls?: ProviderTls
}

/** Credentials of an OAuth client (RFC 6749 §2.3.1). */
export interface ExchangeClient {
  readonly id: string
  readonly secret: string
  /** `'basic'`: in the Authorization header; `'post'`: in the body, for servers that know no other way. @default 'basic' */
  readonly method?: 'basic' | 'post'
}

/** What the schema makes of {@link TokenExchangeOptions}. */
export interface ResolvedTokenExchange {
  readonly endpoint: string
  readonly client: { readonly id: string; readonly secret: string; readonly method: 'basic' | 'post' }
  readonly audience: readonly string[]
  readonly resource: readonly string[]
  readonly scope: string | undefined
  readonly requestedTokenType: string | undefined
  readonly subjectTokenType: string
  readonly schemes: ReadonlySet<string>
  readonly header: string
  readonly timeoutMs: number
  readonly maxEntries: number
  readonly maxCacheMs: number
  readonly tls: ProviderTls | undefined
}

const TEXT = 'not a text of 1 to 1024 characters'
const text = v.pipe(v.string(TEXT), v.nonEmpty(TEXT), v.maxLength(1_024, TEXT))
const URI = 'not an absolute URI without a fragment'
const uri = v.pipe(
  v.string(URI),
  v.check((value) => URL.canParse(value) && !value.includes('#'), URI),
)
const SCOPE = 'not scopes with one space between'
const ENDPOINT = 'not an absolute URL'

function oneOrMore(isItem: (value: unknown) => boolean, wanted: string) {
  const isList = (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.length <= 32 && value.every(isItem)
  return v.optional(
    v.pipe(
      v.custom<string | readonly string[]>(
        (value) => isItem(value) || isList(value),
        `${wanted}, nor a list of 1 to 32 of them`,
      ),
      v.transform((value): readonly string[] => (typeof value === 'string' ? [value] : [...value])),
    ),
  )
}

const client = v.strictObject(
  {
    id: text,
    secret: text,
    method: v.optional(v.picklist(['basic', 'post'], 'not "basic" or "post"'), 'basic'),
  },
  'not an object with id and secret',
)
const entries = {
  endpoint: v.string(ENDPOINT),
  client,
  audience: oneOrMore((value) => v.is(text, value), TEXT),
  resource: oneOrMore((value) => v.is(uri, value), URI),
  // RFC 6749 §3.3.
  scope: v.optional(
    v.pipe(v.string(SCOPE), v.regex(/^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/, SCOPE)),
  ),
  requestedTokenType: v.optional(uri),
  subjectTokenType: v.optional(uri, 'urn:ietf:params:oauth:token-type:access_token'),
  schemes: v.optional(v.pipe(v.array(text, 'not a list'), v.minLength(1, 'empty')), ['jwt', 'introspection']),
  header: v.optional(fieldName, 'authorization'),
  timeoutMs: v.optional(whole(1, MAX_MS), 3_000),
  maxEntries: v.optional(whole(1, 1_000_000), 10_000),
  maxCacheMs: v.optional(whole(0, 86_400_000), 600_000),
  allowHttp: v.optional(v.boolean('not a boolean'), false),
  tls: v.optional(providerTls),
}

/** The option `exchange`. */
export const tokenExchangeOption = v.pipe(
  v.strictObject(entries, 'not an object of options'),
  v.transform(
    (value): ResolvedTokenExchange =>
      Object.freeze({
        endpoint: value.endpoint,
        client: Object.freeze(value.client),
        audience: value.audience ?? [],
        resource: value.resource ?? [],
        scope: value.scope,
        requestedTokenType: value.requestedTokenType,
        subjectTokenType: value.subjectTokenType,
        schemes: new Set(value.schemes),
        header: value.header,
        timeoutMs: value.timeoutMs,
        maxEntries: value.maxEntries,
        maxCacheMs: value.maxCacheMs,
        tls: value.tls,
      }),
  ),
)

/** What is wrong with the endpoint, whatever else is; undefined when nothing is. */
export function endpointFault({ endpoint, allowHttp }: Partial<TokenExchangeOptions>): string | undefined {
  return typeof endpoint === 'string' ? checkProviderUrl(endpoint, allowHttp === true) : undefined
}

/** Names of the options at a path below `exchange`. */
export function exchangeKeysAt(path: readonly (string | number)[]): readonly string[] {
  if (path.length === 0) return Object.keys(entries)
  if (path[0] === 'client') return Object.keys(client.entries)
  return path[0] === 'tls' ? PROVIDER_TLS_NAMES : []
}
