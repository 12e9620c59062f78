import type { IncomingMessage } from 'node:http'
import {
  type Clock,
  ConfigError,
  type ConfigFault,
  type Identity,
  type SchemaIssue,
  systemClock,
} from '@postern/contracts'
import * as v from 'valibot'
import { type CertificateHeader, certificateHeaderOption } from '../client-certificate/certificate-header.ts'
import { quietFaultsOf } from '../credentials/quiet-faults.ts'
import { type TokenSource, tokenSourcesOption } from '../credentials/token-sources.ts'
import type { ProviderTls } from '../http-client.ts'
import type { ClaimRules } from '../jwt/claims.ts'
import { clockOption, functionOption, milliseconds, nameOption, realmOption, whole } from '../option-parts.ts'
import { httpsUnlessAllowed, PROVIDER_TLS_NAMES, providerTls, providerUrl } from '../provider-options.ts'

/** The gateway's own credentials at a server (RFC 6749 §2.3.1). */
export interface IntrospectionClient {
  /** 1 to 1,024 characters. */
  readonly id: string
  /** 1 to 1,024 characters. */
  readonly secret: string
  /** `'basic'`: in the Authorization header; `'post'`: in the form, for servers that know no other way. @default 'basic' */
  readonly method?: 'basic' | 'post'
}

/** Options of {@link introspection}. */
export interface IntrospectionOptions {
  /** The introspection endpoint of the authorization server (RFC 7662 §2): https. Redirects are not followed. */
  readonly endpoint: string
  /** The gateway's own credentials there. */
  readonly client: IntrospectionClient
  /**
   * One of them must be in the answer's `aud`. `false`: not checked, so that a token made for another service opens this one
   * too; for servers that only tell a client of tokens that are meant for it.
   */
  readonly audience: string | readonly string[] | false
  /** The exact `iss` of the answer. @default any, and none */
  readonly issuer?: string
  /**
   * Accepted `token_type`s of the answer, such as `Bearer`, in any case. Some servers call refresh tokens active as well; with it
   * those are kept out. @default any, and none
   */
  readonly tokenType?: string | readonly string[]
  /** Where the token is; when it is found in two places the request is refused. @default 'header', `Authorization: Bearer` */
  readonly from?: TokenSource | readonly TokenSource[]
  /** Longest token that is looked at, in bytes, 128 to 65,536. @default 8_192 */
  readonly maxTokenBytes?: number
  /** The member of the answer that names the caller; a path with dots where it lies deeper. Without it the token is refused. @default 'sub' */
  readonly subject?: string
  /** The member with the scopes, a list or a text with spaces. @default 'scope' */
  readonly scopes?: string
  /** The member with the roles. @default 'roles' */
  readonly roles?: string
  /** By how much the server's clock may differ, in milliseconds, 0 to 60,000; for all times in answers. @default 5_000 */
  readonly clockToleranceMs?: number
  /** Longest wait for an answer, and for `user`, in milliseconds, 1 to 60,000. @default 3_000 */
  readonly timeoutMs?: number
  /** Longest answer, in bytes, 256 to 16,777,216. @default 65_536 */
  readonly maxBytes?: number
  /**
   * How long an active token is not asked about again, in milliseconds, 0 to 2^31-1, and never past its `exp`. A token is of use for
   * so long after it was revoked. 0: each request asks. @default 60_000
   */
  readonly maxCacheMs?: number
  /** The same for tokens that are not active, or not meant for this service. @default 10_000 */
  readonly inactiveCacheMs?: number
  /**
   * Most tokens that are remembered, good and others each, 1 to 1,000,000; the least recently used go first. Of answers longer
   * than 2 KiB there is room for fewer. @default 10_000
   */
  readonly maxEntries?: number
  /**
   * What happens while the server does not answer. `'refuse'`: 503 for whoever is not remembered. `'stale'`: the last answer
   * about a token holds on for up to `maxStaleMs` where that was good, and its `exp` is not over. @default 'refuse'
   */
  readonly onFailure?: 'refuse' | 'stale'
  /** With `onFailure: 'stale'`: for how long past its time an answer holds, in milliseconds, 1 to 2^31-1. @default 300_000 */
  readonly maxStaleMs?: number
  /**
   * `'required'`: tokens that are not bound to the client's certificate are refused (RFC 8705 §3). A bound one always
   * needs its certificate. @default 'when-bound'
   */
  readonly certificateBound?: 'when-bound' | 'required'
  /**
   * The field in which a trusted proxy sends the client's certificate (RFC 9440), where TLS ends there; never read of a peer that
   * Express's `trust proxy` does not cover. `false`: only the certificate of the connection itself counts. @default false
   */
  readonly certificateHeader?: CertificateHeader
  /**
   * What `req.user` is, for handlers that know passport; undefined, null or false refuses the token. Called once for
   * each answer of the server, with one of the requests that wait for it. @default the identity
   */
  readonly user?: (identity: Identity, req: IncomingMessage) => unknown
  /** Takes an endpoint by http as well: whoever is on the way reads tokens and credentials, and may answer. @default false */
  readonly allowHttp?: boolean
  /** How the connection is secured. @default Node's own list of authorities */
  readonly tls?: ProviderTls
  /** `realm` of the challenge. @default 'api' */
  readonly realm?: string
  /** `identity.scheme`, 1 to 128 characters. @default 'introspection' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** What {@link resolveIntrospectionOptions} makes of the options. */
export interface ResolvedIntrospectionOptions {
  readonly endpoint: string
  readonly client: Required<IntrospectionClient>
  readonly rules: ClaimRules
  /** Lower case; undefined: any. */
  readonly tokenTypes: readonly string[] | undefined
  readonly from: readonly TokenSource[]
  readonly maxTokenBytes: number
  readonly subject: string
  readonly scopes: string
  readonly roles: string
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly maxCacheMs: number
  readonly inactiveCacheMs: number
  readonly maxEntries: number
  /** 0: no answer is used past its time. */
  readonly maxStaleMs: number
  readonly bindingRequired: boolean
  readonly certificateHeader: CertificateHeader
  readonly user: ((identity: Identity, req: IncomingMessage) => unknown) | undefined
  readonly tls: ProviderTls
  readonly realm: string
  readonly name: string
  readonly clock: Clock
}

const SUBJECT = 'introspection()'
const TEXT = 'not a text of 1 to 1,024 characters'
const text = v.pipe(v.string(TEXT), v.nonEmpty(TEXT), v.maxLength(1_024, TEXT))
const textList = v.pipe(v.array(text, TEXT), v.minLength(1, 'an empty list'), v.maxLength(100, 'more than 100 texts'))

const clientEntries = {
  id: text,
  secret: text,
  method: v.optional(v.picklist(['basic', 'post'], 'not "basic" or "post"'), 'basic'),
}

const entries = {
  endpoint: providerUrl,
  client: v.strictObject(clientEntries, 'not an object with id and secret'),
  audience: v.union([text, textList, v.literal(false)], 'not a text, a list of texts or false'),
  issuer: v.optional(text),
  tokenType: v.optional(v.union([text, textList], 'not a text or a list of texts')),
  from: tokenSourcesOption(['header', 'cookie', 'subprotocol', 'function'], 'header'),
  maxTokenBytes: v.optional(whole(128, 65_536), 8_192),
  subject: v.optional(text, 'sub'),
  scopes: v.optional(text, 'scope'),
  roles: v.optional(text, 'roles'),
  clockToleranceMs: v.optional(whole(0, 60_000), 5_000),
  timeoutMs: v.optional(whole(1, 60_000), 3_000),
  maxBytes: v.optional(whole(256, 16_777_216), 65_536),
  maxCacheMs: v.optional(milliseconds, 60_000),
  inactiveCacheMs: v.optional(milliseconds, 10_000),
  maxEntries: v.optional(whole(1, 1_000_000), 10_000),
  onFailure: v.optional(v.picklist(['refuse', 'stale'], 'not "refuse" or "stale"'), 'refuse'),
  maxStaleMs: v.optional(whole(1, 2 ** 31 - 1)),
  certificateBound: v.optional(v.picklist(['when-bound', 'required'], 'not "when-bound" or "required"'), 'when-bound'),
  certificateHeader: certificateHeaderOption,
  user: v.optional(functionOption<NonNullable<IntrospectionOptions['user']>>()),
  allowHttp: v.optional(v.boolean('not a boolean'), false),
  tls: v.optional(providerTls, {}),
  realm: realmOption,
  name: nameOption('introspection'),
  clock: clockOption,
}

const object = v.strictObject(entries)
const schema = v.pipe(object, httpsUnlessAllowed<v.InferOutput<typeof object>>('endpoint'))

const PARTS: Readonly<Record<string, readonly string[]>> = {
  client: Object.keys(clientEntries),
  tls: PROVIDER_TLS_NAMES,
  certificateHeader: ['name', 'format'],
}

const CURES: Readonly<Record<string, string>> = {
  audience: 'write what the tokens for this service have in aud, or false where the server is trusted to check it',
  client: "write { id: '…', secret: process.env.… }",
  endpoint: 'write the introspection_endpoint of the authorization server',
}

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults; the client's credentials are never shown
 */
export function resolveIntrospectionOptions(input: IntrospectionOptions): ResolvedIntrospectionOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = 'write introspection({ endpoint, client: { id, secret }, audience })'
    throw new ConfigError(SUBJECT, [{ path: '', message: 'not an options object', cure }])
  }
  const result = v.safeParse(schema, input)
  const faults: ConfigFault[] = result.success ? [] : faultsIn(result.issues as readonly SchemaIssue[])
  if (input.maxStaleMs !== undefined && input.onFailure !== 'stale') {
    const cure = "write onFailure: 'stale', or leave it out"
    faults.push({
      path: 'maxStaleMs',
      message: 'of use only where stale answers are',
      received: input.maxStaleMs,
      cure,
    })
  }
  if (faults.length > 0 || !result.success) throw new ConfigError(SUBJECT, faults)
  const {
    audience,
    issuer,
    tokenType,
    clockToleranceMs,
    onFailure,
    maxStaleMs,
    certificateBound,
    allowHttp: _,
    ...rest
  } = result.output
  return Object.freeze({
    ...rest,
    client: Object.freeze(rest.client),
    rules: Object.freeze({
      issuer,
      audiences: audience === false ? undefined : listOf(audience),
      types: undefined,
      expRequired: false,
      maxAgeMs: undefined,
      toleranceMs: clockToleranceMs,
    }),
    tokenTypes: tokenType === undefined ? undefined : listOf(tokenType).map((each) => each.toLowerCase()),
    maxStaleMs: onFailure === 'stale' ? (maxStaleMs ?? 300_000) : 0,
    bindingRequired: certificateBound === 'required',
    user: rest.user,
    clock: rest.clock ?? systemClock,
  })
}

function faultsIn(issues: readonly SchemaIssue[]): ConfigFault[] {
  const known = (path: readonly (string | number)[]) => PARTS[String(path[0])] ?? Object.keys(entries)
  return quietFaultsOf(issues, known, ['client']).map((fault) => {
    const cure = fault.message === 'missing' ? CURES[fault.path] : undefined
    return cure === undefined ? fault : { ...fault, cure }
  })
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value
}
