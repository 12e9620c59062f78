import {
  type ApiKeyOptions,
  apiKey,
  generateApiKey,
  identityOf,
  internalIssuer,
  type JwtStrategy,
  jwt,
} from '@postern/auth'
import {
  type Reply,
  type RequestOptions,
  request,
  serve,
  type Unhandled,
  type Upstream,
  unhandled,
} from '@postern/test-kit'
import express from 'express'
import { afterEach, beforeEach, expect } from 'vitest'
import { closers } from './caching-support.ts'

export { closers, dead, faultsOf, start, upstream } from './caching-support.ts'

let watch: Unhandled
beforeEach(() => {
  watch = unhandled()
})
afterEach(async () => {
  expect(await watch.stop()).toEqual([])
})

/** An identity provider on loopback that publishes its keys, and signs tokens for whomever it is told. */
export interface Provider {
  /** Takes its tokens. */
  readonly users: JwtStrategy
  /** A token of `subject`, with scopes separated by spaces. */
  token(subject?: string, scopes?: string, roles?: readonly string[]): Promise<string>
}

export async function provider(options: Parameters<typeof jwt>[0] = {}): Promise<Provider> {
  const issuer = internalIssuer({ issuer: 'https://id.test', ttlMs: 300_000 })
  const app = express().get('/jwks', issuer.jwks)
  const served = await serve(app)
  closers.push(() => served.close())
  const jwksUri = { uri: `${served.url}/jwks`, allowHttp: true }
  const users = jwt({ issuer: 'https://id.test', audience: 'api', algorithms: ['ES256'], jwksUri, ...options })
  return {
    users,
    async token(subject = 'alice', scopes = '', roles = []) {
      const list = scopes.split(' ').filter((scope) => scope !== '')
      return issuer.mint(identityOf('login', subject, { scopes: list, roles }), 'api')
    },
  }
}

/** A scheme of API keys with one key. */
export function partners(options: ApiKeyOptions = {}) {
  const { key, hash, id } = generateApiKey({ prefix: 'partner_' })
  return { key, scheme: apiKey({ keys: [{ id, hash, subject: 'reseller' }], ...options }) }
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

/** Status and problem code of an answer; `ok` where it is none. */
export async function outcome(url: string, options?: RequestOptions): Promise<string> {
  return outcomeOf(await request(url, options))
}

export function outcomeOf(reply: Reply): string {
  const isProblem = reply.headers['content-type'] === 'application/problem+json'
  return `${reply.status} ${isProblem ? (reply.json() as { code: string }).code : 'ok'}`
}

/** Every value of a header that an upstream saw, also of names that differ in case or in `_` for `-`. */
export function seenOf({ requests }: Pick<Upstream, 'requests'>, name: string): string[] {
  return requests.flatMap(({ rawHeaders }) =>
    rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase().replaceAll('_', '-') === name),
  )
}
