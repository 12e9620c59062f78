import { Agent, type Dispatcher, errors, request } from 'undici'

/** Certificate authorities that a provider's certificate may be signed by, in place of the well-known ones: PEM. */
export type CertificateAuthorities = string | Buffer | readonly (string | Buffer)[]

/** How the connection to a provider is secured. */
export interface ProviderTls {
  /** Authorities that are trusted in place of the well-known ones, PEM. @default Node's own list */
  readonly ca?: CertificateAuthorities | undefined
}

/** One question to a provider. */
export interface FetchJsonOptions {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST'
  /** Names in lower case. `accept`, `accept-encoding` and `user-agent` are set unless they are given. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Longest time for the whole of it, in milliseconds: name look-up, connection, head and body. */
  readonly timeoutMs: number
  /** Most bytes of the answer's body. */
  readonly maxBytes: number
  /** What carries it; see {@link createProviderAgent}. @default undici's global dispatcher */
  readonly dispatcher?: Dispatcher | undefined
}

/** What a provider has answered. */
export interface JsonAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The parsed body; undefined when the status is not 2xx and the body is no JSON. */
  readonly body: unknown
  /** Length of the body as it was read. */
  readonly bodyBytes: number
}

/**
 * Why a provider gave no answer that can be used: it took too long; it cannot be reached, or the connection broke; it
 * pointed elsewhere; its answer is too long; its status is not the one that was hoped for; its answer is no JSON; or says
 * nothing that can be used.
 */
export type ProviderErrorKind = 'timeout' | 'network' | 'redirect' | 'too-large' | 'status' | 'not-json' | 'unusable'

/** A provider of keys, an introspection server or a token endpoint does not answer, or answers nonsense. */
export class ProviderError extends Error {
  readonly kind: ProviderErrorKind
  /** Of the answer, where there was one. */
  readonly status: number | undefined

  constructor(
    kind: ProviderErrorKind,
    message: string,
    options: { readonly cause?: unknown; readonly status?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ProviderError'
    this.kind = kind
    this.status = options.status
  }
}

/** A provider that cannot be reached holds a half-open socket no longer than this, whoever gave up before. */
const CONNECT_TIMEOUT_MS = 5_000

/**
 * Connections to providers, apart from those of the proxy and of the application's own `fetch`: a provider that is slow
 * takes no place from anybody else. Certificates are verified whatever NODE_TLS_REJECT_UNAUTHORIZED says. Whoever makes
 * an agent ends it with `destroy()`.
 *
 * @param connections most connections at once to one provider
 */
export function createProviderAgent(tls: ProviderTls = {}, connections = 16): Agent {
  return new Agent({
    connections,
    pipelining: 1,
    allowH2: false,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      rejectUnauthorized: true,
      ...(tls.ca === undefined ? null : { ca: authorities(tls.ca) }),
    },
  })
}

function authorities(ca: CertificateAuthorities): string | Buffer | (string | Buffer)[] {
  return typeof ca === 'string' || Buffer.isBuffer(ca) ? ca : [...ca]
}

/**
 * Asks a provider, once. Redirects are never followed: keys and verdicts come from where the operator said, and client
 * credentials go nowhere else. Time and size are bounded, and the connection is freed in every case.
 *
 * @throws ProviderError and nothing else, by rejection. An answer of any status but 3xx is an answer: the caller decides.
 */
export async function fetchJson(url: string, options: FetchJsonOptions): Promise<JsonAnswer> {
  const shown = shownUrl(url)
  const aborter = new AbortController()
  // The timer holds for the whole, while undici's own count from byte to byte, which a dribbling server stretches at will.
  const timer = setTimeout(() => aborter.abort(), options.timeoutMs).unref()
  try {
    const answer = await request(url, {
      method: options.method ?? 'GET',
      headers: { ...DEFAULT_HEADERS, ...options.headers },
      body: options.body ?? null,
      signal: aborter.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      ...(options.dispatcher === undefined ? null : { dispatcher: options.dispatcher }),
    })
    // A body that is given up emits an error of its own; without a listener it would end the process.
    answer.body.on('error', ignore)
    const { statusCode: status, headers } = answer
    if (status >= 300 && status < 400) {
      answer.body.destroy()
      throw new ProviderError('redirect', `${shown} answers ${status}; redirects are not followed`, { status })
    }
    const bytes = await readBytes(answer, shown, options.maxBytes)
    const isGood = status >= 200 && status < 300
    const body = isPacked(headers) ? undefined : parseJson(bytes)
    if (isGood && body === undefined) throw new ProviderError('not-json', `${shown} answers no JSON`, { status })
    return { status, headers, body, bodyBytes: bytes.length }
  } catch (error) {
    if (error instanceof ProviderError) throw error
    if (aborter.signal.aborted) {
      throw new ProviderError('timeout', `${shown} has not answered within ${options.timeoutMs} ms`)
    }
    throw new ProviderError(kindOf(error), `${shown} cannot be asked: ${wordsOf(error)}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

const DEFAULT_HEADERS: Readonly<Record<string, string>> = {
  accept: 'application/json',
  // What is counted is then what is read, and nothing unpacks to a thousand times its length.
  'accept-encoding': 'identity',
  'user-agent': 'postern',
}

function ignore(): void {}

async function readBytes(answer: Dispatcher.ResponseData, shown: string, maxBytes: number): Promise<Buffer> {
  const { body, headers, statusCode: status } = answer
  const tooLarge = () => new ProviderError('too-large', `${shown} answers with more than ${maxBytes} bytes`, { status })
  if (Number(headers['content-length']) > maxBytes) {
    body.destroy()
    throw tooLarge()
  }
  const chunks: Buffer[] = []
  let length = 0
  // Leaving the loop early destroys the body, and its connection with it.
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

/** Nobody asked for that. */
function isPacked(headers: JsonAnswer['headers']): boolean {
  const coding = headers['content-encoding']
  return coding !== undefined && String(coding).trim().toLowerCase() !== 'identity'
}

/** Undefined for what is no JSON, or not UTF-8 (RFC 8259 §8.1); JSON itself has no such value. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

function kindOf(error: unknown): ProviderErrorKind {
  return error instanceof errors.ConnectTimeoutError ? 'timeout' : 'network'
}

/** Node and undici tell what went wrong by code, and by a message that may be empty where several addresses were tried. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  const { code } = error as { code?: unknown }
  return [typeof code === 'string' ? code : '', error.message].filter((part) => part !== '').join(' ') || error.name
}

/**
 * What is wrong with the address of a provider; undefined when nothing is. Keys that come by plain HTTP are whatever the
 * network says they are, and client credentials are everybody's.
 */
export function checkProviderUrl(url: string, allowHttp: boolean): string | undefined {
  const parsed = URL.parse(url)
  if (parsed === null) return 'not an absolute URL'
  if (parsed.protocol === 'http:') {
    if (!allowHttp) return 'not https; only allowHttp: true takes http, for providers that no stranger is on the way to'
  } else if (parsed.protocol !== 'https:') return 'not an https URL'
  if (parsed.username !== '' || parsed.password !== '') return 'carries a user name or a password'
  if (url.includes('#')) return 'has a fragment'
  return undefined
}

/** A URL as messages and events may show it: without user, password, query and fragment, which may hold secrets. */
export function shownUrl(url: string): string {
  const parsed = URL.parse(url)
  return parsed === null ? 'an address that is no URL' : `${parsed.origin}${parsed.pathname}`
}
