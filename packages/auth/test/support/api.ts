import type { IncomingMessage } from 'node:http'
import { type Clock, exchangeOf, type GatewayError, type TypedChannel } from '@postern/contracts'
import { attachUpgrades, harden } from '@postern/proxy'
import {
  type Reply,
  type RequestOptions,
  request,
  type Served,
  type ServeOptions,
  serve,
  type Unhandled,
  unhandled,
} from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { afterEach, beforeEach, expect } from 'vitest'
import { type AuthenticateHandler, authenticate } from '../../src/authenticate/middleware.ts'
import type { AuthenticateOptions } from '../../src/authenticate/options.ts'
import { type IdentityRefusal, identityRefused } from '../../src/channels.ts'
import { type JwtStrategy, jwt } from '../../src/jwt/jwt.ts'
import type { JwtOptions } from '../../src/jwt/options.ts'
import type { PassportStrategy } from '../../src/passport/scheme-strategy.ts'
import { type Issuer, type IssuerOptions, startIssuer } from './issuer.ts'

const cleanUps: (() => unknown)[] = []
let watched: Unhandled

beforeEach(() => {
  watched = unhandled()
})

// Whatever a test does: nothing in it would have ended the process.
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  expect(await watched.stop()).toEqual([])
})

export function afterwards(cleanUp: () => unknown): void {
  cleanUps.push(cleanUp)
}

/** Has a part closed behind the test that uses it. */
export async function using<Part extends { close(): unknown }>(part: Part | Promise<Part>): Promise<Part> {
  const made = await part
  afterwards(() => made.close())
  return made
}

/** Everything that is told on a channel from now to the end of the test. */
export function told<Message>(channel: TypedChannel<Message>): Message[] {
  const messages: Message[] = []
  const listener = (message: Message): void => void messages.push(message)
  channel.subscribe(listener)
  afterwards(() => channel.unsubscribe(listener))
  return messages
}

/** What a request that was let in is answered with. */
export interface Welcome {
  readonly subject: string | undefined
  readonly scheme: string | undefined
  readonly scopes: readonly string[] | undefined
  readonly roles: readonly string[] | undefined
  readonly user: unknown
  readonly authInfo: unknown
}

export interface ApiOptions extends ServeOptions {
  /** Express's `trust proxy`. */
  readonly trust?: string | boolean
  /** In place of the handler that says who is calling. */
  readonly last?: RequestHandler
  /** WebSockets come through the app as well. */
  readonly upgrades?: boolean
}

/** An Express app on loopback. */
export interface Api {
  readonly url: string
  readonly served: Served
  /** How many requests have come through to the handler. */
  readonly reached: number
  /** Why requests were refused, as operators learn it, in order. */
  readonly reasons: readonly string[]
  /** What Express's error handling got, of `errors: 'next'`. */
  readonly errors: readonly GatewayError[]
  ask(headers?: RequestOptions['headers'], options?: RequestOptions): Promise<Reply>
  /** Asks with a bearer token. */
  bear(token: string, options?: RequestOptions): Promise<Reply>
}

/** Serves stages, and behind them a handler that says who is calling. Closed behind the test. */
export async function api(stages: RequestHandler | readonly RequestHandler[], options: ApiOptions = {}): Promise<Api> {
  const app = express()
  app.set('trust proxy', options.trust ?? false)
  let reached = 0
  const errors: GatewayError[] = []
  app.use(...([stages].flat() as RequestHandler[]))
  app.use((req, res, next) => {
    reached++
    if (options.last !== undefined) {
      void options.last(req, res, next)
      return
    }
    const { identity } = exchangeOf(req, res)
    const { user, authInfo } = req as IncomingMessage & { user?: unknown; authInfo?: unknown }
    res.json({ ...identity, claims: undefined, user, authInfo })
  })
  app.use(((error: GatewayError, _req, res, _next) => {
    errors.push(error)
    res.status(error.status ?? 500).json({ seenByApp: error.code ?? error.message })
  }) as express.ErrorRequestHandler)
  const refusals: IdentityRefusal[] = told(identityRefused)
  const served = await serve(app, options)
  harden(served.server)
  if (options.upgrades) attachUpgrades(served.server, app as never)
  afterwards(() => served.close())
  const ask: Api['ask'] = (headers = {}, more = {}) => request(served.url, { headers, ...more })
  return {
    url: served.url,
    served,
    get reached() {
      return reached
    },
    get reasons() {
      return refusals.map(({ reason }) => reason)
    },
    errors,
    ask,
    bear: (token, more) => ask({ authorization: `Bearer ${token}` }, more),
  }
}

/** `authenticate()` in an app. */
export async function guarded(
  strategies: PassportStrategy | readonly PassportStrategy[],
  options: AuthenticateOptions & ApiOptions = {},
): Promise<Api & { readonly handler: AuthenticateHandler }> {
  const { trust, last, upgrades, tls, server, ...rest } = options
  const handler = authenticate(...([...[strategies].flat(), rest] as unknown as Parameters<typeof authenticate>))
  const served = await api(handler as RequestHandler, defined({ trust, last, upgrades, tls, server }))
  afterwards(() => handler.close())
  return Object.defineProperties(
    { handler } as Api & { handler: AuthenticateHandler },
    Object.getOwnPropertyDescriptors(served),
  )
}

/** An issuer, and an app that takes its tokens. */
export interface JwtApi extends Api {
  readonly issuer: Issuer
  readonly strategy: JwtStrategy
}

export interface JwtApiOptions {
  readonly issuer?: IssuerOptions
  readonly jwt?: Partial<JwtOptions>
  readonly authenticate?: AuthenticateOptions
  readonly api?: ApiOptions
  readonly clock?: Clock
}

/** `jwt()` with the keys of a real issuer, fetched over HTTP. Without a limit on failures, unless told. */
export async function jwtApi(options: JwtApiOptions = {}): Promise<JwtApi> {
  const clock = options.clock === undefined ? {} : { clock: options.clock }
  const now = options.clock === undefined ? {} : { now: () => options.clock!.wallNow() }
  const issuer = await using(startIssuer({ ...now, ...options.issuer }))
  const strategy = jwt({
    issuer: issuer.url,
    audience: 'api',
    algorithms: [...(options.issuer?.algorithms ?? ['RS256'])],
    ...(options.jwt?.secret === undefined && options.jwt?.publicKey === undefined && options.jwt?.jwks === undefined
      ? { jwksUri: { uri: issuer.jwksUri, allowHttp: true } }
      : {}),
    ...clock,
    ...options.jwt,
  })
  const served = await guarded(strategy, { failureLimit: false, ...clock, ...options.authenticate, ...options.api })
  return Object.defineProperties({ issuer, strategy } as JwtApi, Object.getOwnPropertyDescriptors(served))
}

function defined<Value extends object>(value: Value): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never
}

export const CHALLENGE = 'Bearer realm="api"'
export const INVALID_TOKEN = `${CHALLENGE}, error="invalid_token", error_description="The credentials do not hold"`
export const INVALID_REQUEST = `${CHALLENGE}, error="invalid_request", error_description="The request shows credentials more than once"`

const TITLES: Readonly<Record<string, readonly [status: number, title: string, detail: string]>> = {
  authentication_required: [401, 'Authentication required', 'The request has to say who is calling.'],
  invalid_credentials: [401, 'Invalid credentials', 'The credentials of the request do not hold.'],
  ambiguous_credentials: [400, 'Ambiguous credentials', 'The request shows credentials more than once.'],
  foreign_origin: [403, 'Foreign origin', 'Credentials of a cookie are not taken from a page of another origin.'],
  too_many_failures: [429, 'Too many failures', 'Credentials that do not hold were shown too often.'],
  authentication_unavailable: [
    503,
    'Authentication unavailable',
    'It cannot be told at the moment whether the credentials hold.',
  ],
}

/** The whole of what a refused client is told: the problem and the challenge, to the letter, so that no word of why can be in it. */
export function expectRefused(reply: Reply, code: keyof typeof TITLES | string, challenge?: string): void {
  const [status, title, detail] = TITLES[code]!
  expect(reply.status).toBe(status)
  expect(reply.headers['www-authenticate']).toBe(challenge)
  expect(reply.headers['content-type']).toBe('application/problem+json')
  expect(reply.headers['cache-control']).toBe('no-store')
  expect(reply.json()).toEqual({
    type: `https://postern.dev/problems#${code}`,
    title,
    status,
    detail,
    instance: expect.stringMatching(/^urn:uuid:[0-9a-f-]{36}$/),
    code,
  })
  if (status === 503 || status === 429) expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
  else expect(reply.headers['retry-after']).toBe(undefined)
  const allowed = new Set([
    'connection',
    'keep-alive',
    'date',
    'content-type',
    'content-length',
    'cache-control',
    'www-authenticate',
    'retry-after',
    'x-powered-by',
  ])
  expect(Object.keys(reply.headers).filter((name) => !allowed.has(name))).toEqual([])
}

export function expectInvalidToken(reply: Reply): void {
  expectRefused(reply, 'invalid_credentials', INVALID_TOKEN)
}

/** Whether the request was let in, and as whom. */
export function welcomeOf(reply: Reply): Welcome {
  expect(reply.status, reply.text).toBe(200)
  return reply.json() as Welcome
}
