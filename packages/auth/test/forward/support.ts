import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Clock, type Exchange, exchangeOf, type Identity, type TypedChannel } from '@postern/contracts'
import { attachUpgrades, harden, type ProxyOptions, proxy } from '@postern/proxy'
import { serve, type Unhandled, unhandled } from '@postern/test-kit'
import express, { type Express, type RequestHandler } from 'express'
import { afterEach, beforeEach, expect } from 'vitest'
import { admit } from '../../src/admission.ts'
import { bearerChallenge, type ChallengeError } from '../../src/challenge.ts'
import { soleLine } from '../../src/credentials/header-lines.ts'
import { type ForwardIdentityHandler, forwardIdentity } from '../../src/forward/forward-identity.ts'
import type { ForwardIdentityOptions } from '../../src/forward/options.ts'
import { identityOf, type Scheme, verified } from '../../src/scheme.ts'
import { Endpoint } from '../support/endpoint.ts'

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

/** Both clocks stand until the test moves them. */
export class HandClock implements Clock {
  #ms = Math.floor(Date.now() / 1_000) * 1_000

  now(): number {
    return this.#ms
  }

  wallNow(): number {
    return this.#ms
  }

  advance(ms: number): void {
    this.#ms += ms
  }
}

/** Everything that is told on a channel from now to the end of the test. */
export function told<Message>(channel: TypedChannel<Message>): Message[] {
  const messages: Message[] = []
  const listener = (message: Message): void => void messages.push(message)
  channel.subscribe(listener)
  afterwards(() => channel.unsubscribe(listener))
  return messages
}

/** Warnings with a code from now to the end of the test. */
export function warnings(code: string): Error[] {
  const seen: Error[] = []
  const listener = (warning: Error & { code?: string }): void => {
    if (warning.code === code) seen.push(warning)
  }
  process.on('warning', listener)
  afterwards(() => process.off('warning', listener))
  return seen
}

/** A scheme whose credentials are the whole value of a header. */
export class HeaderScheme implements Scheme {
  readonly name: string
  readonly #header: string

  constructor(name: string, header: string) {
    this.name = name
    this.#header = header
  }

  find(req: IncomingMessage): string | undefined {
    const line = soleLine(req, this.#header)
    return typeof line === 'string' ? line.replace(/^Bearer /, '') : undefined
  }

  recall(): undefined {}

  verify(): never {
    throw new Error('not asked in these tests')
  }

  challenge(error?: ChallengeError): string {
    return bearerChallenge('Bearer', 'test', error)
  }

  strip(_req: IncomingMessage, exchange: Exchange): void {
    exchange.outgoing.editRequestHeader({ op: 'remove', name: this.#header })
  }
}

export const alice: Identity = identityOf('jwt', 'alice', {
  scopes: ['orders:read', 'orders:write'],
  roles: ['buyer'],
  claims: { iss: 'https://id.test', sub: 'alice', tenant: 'acme', address: { city: 'Zürich' } },
})

/** Stands where `authenticate()` stands: `Bearer <token>` and `x-api-key: <key>` are known callers, all else is anonymous. */
export function admission(callers: Readonly<Record<string, Identity>>): RequestHandler {
  const schemes = [new HeaderScheme('jwt', 'authorization'), new HeaderScheme('api-key', 'x-api-key')]
  return (req, res, next) => {
    for (const scheme of schemes) {
      const identity = callers[scheme.find(req) ?? '']
      if (identity === undefined) continue
      admit(exchangeOf(req, res), { scheme, schemes }, verified(identity))
      next()
      return
    }
    admit(exchangeOf(req, res), { scheme: undefined, schemes }, undefined)
    next()
  }
}

export interface GatewayOptions {
  readonly target: string
  readonly forward: ForwardIdentityOptions | readonly ForwardIdentityOptions[]
  /** By token or key. @default `Bearer good` is Alice */
  readonly callers?: Readonly<Record<string, Identity>>
  readonly proxy?: ProxyOptions
  readonly configure?: (app: Express) => void
  readonly last?: (app: Express) => void
}

export interface Gateway {
  readonly url: string
  readonly port: number
  readonly handlers: readonly ForwardIdentityHandler[]
  close(): Promise<void>
}

/** An Express app: who is calling, forwardIdentity(), proxy(). Closed behind the test. */
export async function gateway(options: GatewayOptions): Promise<Gateway> {
  const app = express()
  const handlers = [options.forward].flat().map((each) => forwardIdentity(each as ForwardIdentityOptions))
  const forward = proxy({ ...options.proxy, target: options.target })
  options.configure?.(app)
  app.use(admission(options.callers ?? { good: alice }), ...handlers)
  app.use(forward)
  options.last?.(app)
  const served = await serve(app)
  harden(served.server)
  attachUpgrades(served.server, app as never)
  return using({
    url: served.url,
    port: served.port,
    handlers,
    async close() {
      await served.close()
      await forward.close({ graceMs: 1_000 })
      for (const handler of handlers) handler.close()
    },
  })
}

export const BEARER = { authorization: 'Bearer good' }

export interface TokenEndpoint {
  readonly url: string
  readonly endpoint: Endpoint
  /** Form fields of the requests that have come, in order. */
  readonly forms: readonly URLSearchParams[]
  /** Their Authorization headers. */
  readonly authorizations: readonly (string | undefined)[]
  /** What is answered in place of a token. */
  answer: ((form: URLSearchParams) => { status?: number; body: unknown }) | undefined
  close(): Promise<void>
}

/** A token for a token: the same for the same one. */
export function exchangedFor(token: string): string {
  return `x.${createHash('sha256').update(token).digest('base64url')}`
}

/** A real token endpoint on loopback (RFC 8693). */
export async function startTokenEndpoint(): Promise<TokenEndpoint> {
  const endpoint = new Endpoint()
  const forms: URLSearchParams[] = []
  const authorizations: (string | undefined)[] = []
  const served = await serve((req, res) => {
    let text = ''
    req.setEncoding('utf8')
    req.on('data', (chunk: string) => {
      text += chunk
    })
    req.on('error', () => {})
    res.on('error', () => {})
    req.on('end', () => {
      const form = new URLSearchParams(text)
      forms.push(form)
      authorizations.push(req.headers.authorization)
      void endpoint.handle(req, res, () => made.answer?.(form) ?? { body: granted(form) })
    })
  })
  const made: TokenEndpoint = {
    url: `${served.url}/token`,
    endpoint,
    forms,
    authorizations,
    answer: undefined,
    close: () => served.close(),
  }
  return using(made)
}

export function granted(form: URLSearchParams): Record<string, unknown> {
  return {
    access_token: exchangedFor(form.get('subject_token') ?? ''),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: 300,
  }
}
