import { createServer } from 'node:http'
import {
  type ApiKeyOptions,
  apiKey,
  generateApiKey,
  identityOf,
  internalIssuer,
  type JwtOptions,
  jwt,
} from '@postern/auth'
import { harden } from '@postern/proxy'
import { serve, startUpstream, type Unhandled, type Upstream, type UpstreamHandler, unhandled } from '@postern/test-kit'
import express, { type Express } from 'express'
import { afterEach, beforeEach, expect } from 'vitest'

const closers: (() => unknown)[] = []
let watch: Unhandled

beforeEach(() => {
  watch = unhandled()
})

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  expect(await watch.stop()).toEqual([])
})

/** Has a part closed behind the test that uses it. */
export function using<Part extends { close(): unknown }>(part: Part): Part {
  closers.push(() => part.close())
  return part
}

export async function upstream(handler: UpstreamHandler): Promise<Upstream> {
  return using(await startUpstream(handler))
}

/** An Express app on a free port. */
export async function listening(build: (app: Express) => void): Promise<string> {
  const app = express()
  app.disable('x-powered-by')
  build(app)
  const server = harden(createServer(app))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as { port: number }
  return `http://127.0.0.1:${port}`
}

/** An identity provider on loopback. */
export async function provider(options: JwtOptions = {}) {
  const issuer = internalIssuer({ issuer: 'https://id.test', ttlMs: 300_000 })
  const served = using(await serve(express().get('/jwks', issuer.jwks)))
  const jwksUri = { uri: `${served.url}/jwks`, allowHttp: true }
  return {
    issuer,
    users: jwt({ issuer: 'https://id.test', audience: 'api', algorithms: ['ES256'], jwksUri, ...options }),
    async token(subject = 'alice', scopes: readonly string[] = []): Promise<string> {
      return issuer.mint(identityOf('login', subject, { scopes }), 'api')
    },
  }
}

/** A scheme of API keys with one key. */
export function partners(options: ApiKeyOptions = {}) {
  const { key, hash, id } = generateApiKey()
  return { headers: { 'x-api-key': key }, scheme: apiKey({ keys: [{ id, hash, subject: 'reseller' }], ...options }) }
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

/** Every value of a header that an upstream saw, in whatever case its name was. */
export function seenOf({ requests }: Upstream, name: string): string[] {
  return requests.flatMap((each) => each.all(name))
}
