import { type KeyObject, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { CompactSign, type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose'
import type { JwtAlgorithm } from '../../src/jwt/key-set.ts'
import { Endpoint } from './endpoint.ts'

export type { Fault } from './endpoint.ts'
export { Endpoint } from './endpoint.ts'

export interface IssuerOptions {
  /** Algorithms that the issuer has keys for; HS keys are not published. @default ['RS256'] */
  readonly algorithms?: readonly JwtAlgorithm[]
  /** Who may ask the introspection endpoint. @default { id: 'gateway', secret: 'open: sesame & co' } */
  readonly client?: { readonly id: string; readonly secret: string }
  /** Serves by https, with this certificate. @default plain http */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Milliseconds since the epoch that `iat` and `exp` count from. @default Date.now */
  readonly now?: () => number
}

export interface SignOptions {
  /** @default the first algorithm of the issuer */
  readonly algorithm?: JwtAlgorithm
  /** `null`: none. @default that of the newest key of the algorithm */
  readonly kid?: string | null
  /** @default none */
  readonly typ?: string
  /** Further header parameters; those of `crit` are taken for known. */
  readonly header?: Record<string, unknown>
  /** Another key than the issuer's own: the token claims to be of this issuer, and is not. */
  readonly key?: KeyObject | Uint8Array | CryptoKey
}

/** A key of the issuer. */
export interface IssuerKey {
  readonly kid: string
  readonly algorithm: JwtAlgorithm
  readonly signingKey: CryptoKey | Uint8Array
  /** What is published of it; undefined for HS keys. */
  readonly jwk: JWK | undefined
}

/** A server of keys and verdicts on loopback. */
export interface Issuer {
  /** `http://127.0.0.1:port`: the `iss` of its tokens. */
  readonly url: string
  readonly jwksUri: string
  readonly introspectionUri: string
  readonly client: { readonly id: string; readonly secret: string }
  /** Behaviour and count of the JWKS endpoint. */
  readonly jwks: Endpoint
  /** Behaviour and count of the introspection endpoint. */
  readonly introspection: Endpoint
  /** The newest key of an algorithm. */
  key(algorithm?: JwtAlgorithm): IssuerKey
  /** The key set as it would be answered now. */
  document(): unknown
  /**
   * A token of this issuer: `{ iss, aud: 'api', sub: 'alice', iat: now, exp: in five minutes }` with the given claims
   * over them; undefined takes one away. A text is signed as it is.
   */
  sign(claims?: Record<string, unknown> | string, options?: SignOptions): Promise<string>
  /** New keys with new kids; `keep`: the old ones stay published. */
  rotate(options?: { readonly keep?: boolean }): Promise<void>
  /** Publishes other keys than it signs with, under the same kids; tokens of the other keys come by {@link Issuer.key}. */
  lie(): Promise<void>
  /** Answers the JWKS endpoint with this, whatever it is; undefined: with the keys again. */
  publish(document: unknown): void
  /** An opaque token that introspection answers with `{ active: true, …answer }`. */
  issue(answer?: Record<string, unknown>): string
  /** Introspection answers a token with this from now on, as it is. */
  answer(token: string, answer: unknown): void
  /** Introspection says `{ active: false }` of it from now on. */
  revoke(token: string): void
  /** The form of the last introspection request. */
  lastForm(): URLSearchParams
  /** The headers of the last request of any endpoint. */
  lastHeaders(): IncomingMessage['headers']
  close(): Promise<void>
}

/** Starts an issuer on a free port of 127.0.0.1. */
export async function startIssuer(options: IssuerOptions = {}): Promise<Issuer> {
  const algorithms = options.algorithms ?? ['RS256']
  const client = options.client ?? { id: 'gateway', secret: 'open: sesame & co' }
  const now = options.now ?? Date.now
  const jwks = new Endpoint()
  const introspection = new Endpoint()
  const answers = new Map<string, unknown>()
  let current = await makeKeys(algorithms)
  let published = current
  let document: unknown
  let form = new URLSearchParams()
  let headers: IncomingMessage['headers'] = {}

  const documentNow = () => document ?? { keys: published.flatMap(({ jwk }) => (jwk === undefined ? [] : [jwk])) }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    headers = req.headers
    const path = req.url!.split('?')[0]!
    if (path.startsWith('/jwks')) return jwks.handle(req, res, () => ({ body: documentNow() }))
    if (!path.startsWith('/introspect')) return void res.writeHead(404).end()
    const sent = new URLSearchParams(await textOf(req))
    form = sent
    return introspection.handle(req, res, () => {
      const isForm = req.headers['content-type'] === 'application/x-www-form-urlencoded'
      if (req.method !== 'POST' || !isForm) return { status: 400, body: { error: 'invalid_request' } }
      if (!isClient(req, sent, client)) return { status: 401, body: { error: 'invalid_client' } }
      return { body: answers.get(sent.get('token') ?? '') ?? { active: false } }
    })
  }

  const listener = (req: IncomingMessage, res: ServerResponse) => {
    handle(req, res).catch(() => req.socket.destroy())
  }
  const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`

  const key = (algorithm = algorithms[0]!): IssuerKey => {
    const found = current.find((each) => each.algorithm === algorithm)
    if (found === undefined) throw new Error(`this issuer has no key for ${algorithm}`)
    return found
  }

  return {
    url,
    jwksUri: `${url}/jwks`,
    introspectionUri: `${url}/introspect`,
    client,
    jwks,
    introspection,
    key,
    document: documentNow,
    sign(claims = {}, signing = {}) {
      const seconds = Math.floor(now() / 1000)
      const defaults = { iss: url, aud: 'api', sub: 'alice', iat: seconds, exp: seconds + 300 }
      const text = typeof claims === 'string' ? claims : JSON.stringify({ ...defaults, ...claims })
      return signed(text, key(signing.algorithm), signing)
    },
    async rotate({ keep = false } = {}) {
      current = await makeKeys(algorithms)
      published = keep ? [...current, ...published] : current
    },
    async lie() {
      const others = await makeKeys(algorithms)
      published = current.map(({ kid }, i) => {
        const jwk = others[i]!.jwk
        return { ...others[i]!, kid, jwk: jwk === undefined ? undefined : { ...jwk, kid } }
      })
    },
    publish(value) {
      document = value
    },
    issue(answer = {}) {
      const token = randomBytes(24).toString('base64url')
      answers.set(token, { active: true, ...answer })
      return token
    },
    answer(token, answer) {
      answers.set(token, answer)
    },
    revoke(token) {
      answers.delete(token)
    },
    lastForm: () => form,
    lastHeaders: () => headers,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function makeKeys(algorithms: readonly JwtAlgorithm[]): Promise<IssuerKey[]> {
  return Promise.all(
    algorithms.map(async (algorithm) => {
      const kid = `${algorithm.toLowerCase()}-${randomBytes(6).toString('hex')}`
      if (algorithm.startsWith('HS')) return { kid, algorithm, signingKey: randomBytes(64), jwk: undefined }
      const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
      return {
        kid,
        algorithm,
        signingKey: privateKey,
        jwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' },
      }
    }),
  )
}

function signed(text: string, own: IssuerKey, options: SignOptions): Promise<string> {
  const kid = options.kid === undefined ? own.kid : options.kid
  const header = {
    alg: own.algorithm,
    ...(kid === null ? null : { kid }),
    ...(options.typ === undefined ? null : { typ: options.typ }),
    ...options.header,
  }
  const critical = (options.header?.crit as readonly string[] | undefined) ?? []
  return new CompactSign(Buffer.from(text))
    .setProtectedHeader(header)
    .sign(options.key ?? own.signingKey, { crit: Object.fromEntries(critical.map((name) => [name, true])) })
}

async function textOf(req: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of req) text += chunk
  return text
}

/** RFC 6749 §2.3.1: by Basic, whose parts are form-encoded first, or in the form. */
function isClient(req: IncomingMessage, form: URLSearchParams, client: { id: string; secret: string }): boolean {
  const { authorization } = req.headers
  if (authorization === undefined) {
    return form.get('client_id') === client.id && form.get('client_secret') === client.secret
  }
  const [scheme, encoded = ''] = authorization.split(' ')
  if (scheme !== 'Basic') return false
  const parts = Buffer.from(encoded, 'base64').toString().split(':')
  const decode = (part = '') => new URLSearchParams(`v=${part}`).get('v')
  return parts.length === 2 && decode(parts[0]) === client.id && decode(parts[1]) === client.secret
}
