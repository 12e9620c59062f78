import { X509Certificate } from 'node:crypto'
import { IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import { type AddressInfo, Socket } from 'node:net'
import { inspect } from 'node:util'
import { exchangeOf } from '@postern/contracts'
import { certificates, eventually, rawRequest, serve, unhandled } from '@postern/test-kit'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ProviderFailure, providerFailed } from '../../src/channels.ts'
import { type IntrospectionOptions, resolveIntrospectionOptions } from '../../src/introspection/options.ts'
import { IntrospectionScheme } from '../../src/introspection/scheme.ts'
import type { Verdict, Verified } from '../../src/scheme.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { type Fault, type Issuer, startIssuer } from '../support/issuer.ts'

let issuer: Issuer
let clock: ManualClock
const open: IntrospectionScheme[] = []
const failures: ProviderFailure[] = []
const onFailure = (failure: ProviderFailure) => void failures.push(failure)
/** Of a request only its connection counts here, and it has none. */
const req = new IncomingMessage(new Socket())

beforeEach(async () => {
  issuer = await startIssuer({ algorithms: [] })
  clock = manualClock()
  failures.length = 0
  providerFailed.subscribe(onFailure)
})

afterEach(async () => {
  for (const scheme of open.splice(0)) scheme.close()
  providerFailed.unsubscribe(onFailure)
  await issuer.close()
})

function introspection(options: Partial<IntrospectionOptions> = {}): IntrospectionScheme {
  const scheme = new IntrospectionScheme(
    resolveIntrospectionOptions({
      endpoint: issuer.introspectionUri,
      client: issuer.client,
      audience: false,
      allowHttp: true,
      clock,
      ...options,
    }),
  )
  open.push(scheme)
  return scheme
}

function expiry(inMs: number): number {
  return Math.floor((clock.wallNow() + inMs) / 1_000)
}

async function identityOf(verdict: Verdict | Promise<Verdict>): Promise<Verified['identity']> {
  const settled = await verdict
  if (settled.outcome !== 'verified') throw new Error(`${settled.outcome}: ${settled.reason}`, { cause: settled })
  return settled.identity
}

describe('a token', () => {
  test.each(['basic', 'post'] as const)(
    'that the server calls active is of whom it names; the gateway says who asks: %s',
    async (method) => {
      const scheme = introspection({ client: { ...issuer.client, method } })
      const token = issuer.issue({ sub: 'alice', scope: 'read write', roles: ['admin'] })
      expect(scheme.recall(token, req)).toBeUndefined()
      const verdict = await scheme.verify(token, req)
      expect(verdict).toMatchObject({
        outcome: 'verified',
        identity: { scheme: 'introspection', subject: 'alice', scopes: ['read', 'write'], roles: ['admin'] },
      })
      expect(issuer.lastForm().get('token')).toBe(token)
      expect(issuer.lastForm().get('token_type_hint')).toBe('access_token')
    },
  )

  test('that nobody knows is refused as a guess, and not asked about again for a while', async () => {
    const scheme = introspection({ inactiveCacheMs: 10_000 })
    expect(await scheme.verify('made-up', req)).toMatchObject({
      outcome: 'refused',
      error: 'invalid_token',
      isGuess: true,
    })
    clock.advance(9_999)
    expect(scheme.verify('made-up', req)).toMatchObject({ outcome: 'refused' })
    expect(issuer.introspection.requests).toBe(1)
    clock.advance(1)
    await scheme.verify('made-up', req)
    expect(issuer.introspection.requests).toBe(2)
  })

  test('that was good once and is not any more is no guess', async () => {
    const scheme = introspection({ maxCacheMs: 1_000 })
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    issuer.revoke(token)
    clock.advance(1_000)
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'refused', reason: 'inactive', isGuess: false })
    expect(scheme.recall(token, req)).toBeUndefined()
  })

  test('for another service is refused, and not asked about again for a while', async () => {
    const scheme = introspection({ audience: 'api' })
    const token = issuer.issue({ sub: 'alice', aud: 'elsewhere' })
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'refused', reason: 'audience' })
    expect(scheme.verify(token, req)).toMatchObject({ outcome: 'refused', reason: 'audience' })
    expect(issuer.introspection.requests).toBe(1)
  })

  test('is sent to the server as it is, whatever it holds', async () => {
    const scheme = introspection({ inactiveCacheMs: 0 })
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 300 }), async (token) => {
        expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'refused' })
        expect(issuer.lastForm().get('token')).toBe(token)
        expect(issuer.lastForm().get('client_id')).toBeNull()
      }),
      { numRuns: 50 },
    )
  })

  test('names as user what the application makes of it; nothing means that it is refused', async () => {
    const scheme = introspection({ user: (identity) => (identity.subject === 'alice' ? { name: 'Alice' } : undefined) })
    const alice = issuer.issue({ sub: 'alice' })
    expect(await scheme.verify(alice, req)).toMatchObject({ user: { name: 'Alice' } })
    expect(scheme.recall(alice, req)).toMatchObject({ user: { name: 'Alice' } })
    expect(await scheme.verify(issuer.issue({ sub: 'bob' }), req)).toMatchObject({
      outcome: 'refused',
      reason: 'no-user',
    })
  })

  test('is not called bad when the application fails, and is asked about again', async () => {
    const watched = unhandled()
    let calls = 0
    const scheme = introspection({
      user: async () => {
        calls++
        if (calls === 1) throw new Error('the database is down')
        return 'Alice'
      },
    })
    const token = issuer.issue({ sub: 'alice' })
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'unavailable' })
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'verified', user: 'Alice' })
    expect(await watched.stop()).toEqual([])
  })
})

describe('what the server has said', () => {
  test('holds at once for later requests, one object for all, until its time is over', async () => {
    const scheme = introspection({ maxCacheMs: 60_000 })
    const token = issuer.issue({ sub: 'alice' })
    const verdict = await scheme.verify(token, req)
    clock.advance(59_999)
    expect(scheme.recall(token, req)).toBe(verdict)
    expect(issuer.introspection.requests).toBe(1)
    clock.advance(1)
    expect(scheme.recall(token, req)).toBeUndefined()
    await scheme.verify(token, req)
    expect(issuer.introspection.requests).toBe(2)
  })

  test('holds never past the end of the token', async () => {
    const scheme = introspection({ maxCacheMs: 3_600_000, clockToleranceMs: 0 })
    const token = issuer.issue({ sub: 'alice', exp: expiry(30_000) })
    await identityOf(scheme.verify(token, req))
    clock.advance(28_000)
    expect(scheme.recall(token, req)).toBeDefined()
    clock.advance(2_000)
    expect(scheme.recall(token, req)).toBeUndefined()
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'refused', reason: 'expired' })
  })

  test('is not kept with maxCacheMs: 0, so that revocation counts at once', async () => {
    const scheme = introspection({ maxCacheMs: 0 })
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    expect(scheme.recall(token, req)).toBeUndefined()
    issuer.revoke(token)
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'refused' })
  })

  test('is forgotten when told to, also while it is being asked for', async () => {
    const scheme = introspection()
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    scheme.forget(token)
    expect(scheme.recall(token, req)).toBeUndefined()
    const release = issuer.introspection.hold()
    const asked = scheme.verify(token, req)
    await eventually(() => issuer.introspection.open === 1)
    scheme.forget(token)
    release()
    expect((await identityOf(asked)).subject).toBe('alice')
    expect(scheme.recall(token, req)).toBeUndefined()
    expect(scheme.remembered).toBe(0)
    await identityOf(scheme.verify(token, req))
    scheme.forgetAll()
    expect(scheme.recall(token, req)).toBeUndefined()
  })

  test('of made-up tokens drives no good one out, and takes a bounded room', async () => {
    const scheme = introspection({ maxEntries: 20 })
    const tokens = Array.from({ length: 40 }, (_, i) => issuer.issue({ sub: `user-${i}` }))
    for (const token of tokens) await identityOf(scheme.verify(token, req))
    expect(scheme.remembered).toBe(20)
    await Promise.all(Array.from({ length: 200 }, (_, i) => scheme.verify(`made-up-${i}`, req)))
    for (const token of tokens.slice(20)) expect(scheme.recall(token, req)).toBeDefined()
  })

  test('at length takes the room of several', async () => {
    const scheme = introspection({ maxEntries: 20 })
    for (let i = 0; i < 20; i++) {
      await identityOf(scheme.verify(issuer.issue({ sub: 'alice', text: 'x'.repeat(8_192) }), req))
    }
    expect(scheme.remembered).toBe(4)
  })
})

describe('many requests at once', () => {
  test('with one token ask once', async () => {
    const scheme = introspection({ maxCacheMs: 0 })
    const token = issuer.issue({ sub: 'alice' })
    const release = issuer.introspection.hold()
    const asked = Array.from({ length: 1_000 }, () => scheme.verify(token, req))
    await eventually(() => issuer.introspection.open === 1)
    release()
    for (const verdict of asked) expect((await identityOf(verdict)).subject).toBe('alice')
    expect(issuer.introspection.requests).toBe(1)
  })

  test('with made-up tokens are asked about up to a bound, and told to come again beyond', async () => {
    const scheme = introspection()
    const release = issuer.introspection.hold()
    const verdicts = Array.from({ length: 1_000 }, (_, i) => scheme.verify(`made-up-${i}`, req))
    const busy = verdicts.filter((verdict) => !(verdict instanceof Promise))
    expect(busy).toHaveLength(1_000 - 256)
    expect(busy[0]).toMatchObject({ outcome: 'unavailable', reason: 'busy', retryAfterMs: 1_000 })
    await eventually(() => issuer.introspection.open === 64)
    release()
    const settled = await Promise.all(verdicts)
    expect(settled.filter(({ outcome }) => outcome === 'refused')).toHaveLength(256)
    expect(issuer.introspection.mostOpen).toBe(64)
    expect(await scheme.verify('later', req)).toMatchObject({ outcome: 'refused' })
  })
})

const FAULTS: [Fault, string][] = [
  ['down', 'network'],
  ['silent', 'timeout'],
  ['dribble', 'timeout'],
  ['cut', 'network'],
  ['redirect', 'redirect'],
  ['huge', 'too-large'],
  ['endless', 'too-large'],
  ['not-json', 'not-json'],
  ['packed', 'not-json'],
  [400, 'status'],
  [401, 'status'],
  [429, 'status'],
  [500, 'status'],
  [503, 'status'],
]

describe('a server that fails', () => {
  test.each(FAULTS)('by %s leaves it open whether a token is good', async (fault, kind) => {
    const watched = unhandled()
    const scheme = introspection({ timeoutMs: kind === 'timeout' ? 100 : 3_000 })
    const token = issuer.issue({ sub: 'alice' })
    issuer.introspection.fault = fault
    expect(await scheme.verify(token, req)).toMatchObject({
      outcome: 'unavailable',
      reason: 'introspection',
      cause: { kind },
    })
    expect(failures).toMatchObject([{ provider: 'introspection', url: issuer.introspectionUri, error: { kind } }])
    expect(issuer.introspection.followed).toBe(0)
    issuer.introspection.fault = undefined
    await identityOf(scheme.verify(token, req))
    expect(await watched.stop()).toEqual([])
  })

  test.each([null, [], {}, { active: 'true' }, { active: 1 }])(
    'by saying %j leaves it open as well',
    async (answer) => {
      const scheme = introspection()
      issuer.answer('token', answer ?? 'null')
      expect(await scheme.verify('token', req)).toMatchObject({ outcome: 'unavailable', cause: { kind: 'unusable' } })
    },
  )

  test('to know the gateway is told to the operator, without the secret', async () => {
    const scheme = introspection({ client: { id: 'gateway', secret: 'hush-hush' } })
    const verdict = await scheme.verify(issuer.issue({ sub: 'alice' }), req)
    expect(verdict).toMatchObject({ outcome: 'unavailable', cause: { status: 401 } })
    expect(String((verdict as { cause: Error }).cause.message)).toContain('client credentials')
    expect(inspect({ failures, verdict }, { depth: 10 })).not.toContain('hush-hush')
  })

  test('does not trouble those who are remembered', async () => {
    const scheme = introspection()
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    issuer.introspection.fault = 'down'
    for (let i = 0; i < 10_000; i++) expect(scheme.recall(token, req)).toBeDefined()
    expect(issuer.introspection.requests).toBe(1)
  })

  test('means 503 for those whose time is over, unless stale answers are wanted', async () => {
    const scheme = introspection({ maxCacheMs: 60_000 })
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    issuer.introspection.fault = 'down'
    clock.advance(60_000)
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'unavailable' })
  })
})

describe('stale answers', () => {
  const STALE = { onFailure: 'stale', maxCacheMs: 60_000, maxStaleMs: 120_000, clockToleranceMs: 0 } as const

  test('hold on while the server is down, and it is asked now and then only', async () => {
    const scheme = introspection(STALE)
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    issuer.introspection.fault = 'down'
    clock.advance(60_000)
    expect((await identityOf(scheme.verify(token, req))).subject).toBe('alice')
    for (let i = 0; i < 1_000; i++) expect(scheme.recall(token, req)).toBeDefined()
    expect(issuer.introspection.requests).toBe(2)
    clock.advance(5_000)
    expect(scheme.recall(token, req)).toBeUndefined()
    await identityOf(scheme.verify(token, req))
    expect(issuer.introspection.requests).toBe(3)
    clock.advance(114_999)
    await identityOf(scheme.verify(token, req))
    clock.advance(1)
    expect(scheme.recall(token, req)).toBeUndefined()
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'unavailable' })
  })

  test('end with the token', async () => {
    const scheme = introspection(STALE)
    const token = issuer.issue({ sub: 'alice', exp: expiry(90_000) })
    await identityOf(scheme.verify(token, req))
    issuer.introspection.fault = 'down'
    clock.advance(60_000)
    await identityOf(scheme.verify(token, req))
    clock.advance(30_000)
    expect(scheme.recall(token, req)).toBeUndefined()
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'unavailable' })
  })

  test('end with the first word that the token is not good', async () => {
    const scheme = introspection({ ...STALE, inactiveCacheMs: 0 })
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    issuer.revoke(token)
    clock.advance(60_000)
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'refused' })
    issuer.introspection.fault = 'down'
    expect(await scheme.verify(token, req)).toMatchObject({ outcome: 'unavailable' })
  })

  test('are there for known tokens when made-up ones keep the server busy', async () => {
    const scheme = introspection(STALE)
    const token = issuer.issue({ sub: 'alice' })
    await identityOf(scheme.verify(token, req))
    clock.advance(60_000)
    const release = issuer.introspection.hold()
    const flood = Array.from({ length: 300 }, (_, i) => scheme.verify(`made-up-${i}`, req))
    expect(scheme.verify(token, req)).toMatchObject({ outcome: 'verified' })
    release()
    await Promise.all(flood)
  })
})

describe('a token that is bound to a certificate (RFC 8705)', () => {
  test('is good with that certificate only, remembered or not, and one bound in another way never', async () => {
    const { ca, server: serverKeys, client, strangeClient } = certificates()
    const scheme = introspection()
    const handler = async (incoming: IncomingMessage, res: ServerResponse) => {
      const token = scheme.find(incoming, exchangeOf(incoming, res)) as string
      const recalled = scheme.recall(token, incoming)
      const verdict = recalled ?? (await scheme.verify(token, incoming))
      res.setHeader('connection', 'close')
      res.end(JSON.stringify([verdict.outcome, recalled !== undefined]))
    }
    const server = https.createServer(
      { cert: serverKeys.cert, key: serverKeys.key, ca: ca.cert, requestCert: true, rejectUnauthorized: false },
      (incoming, res) => void handler(incoming, res),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const ask = (token: string, keys?: { cert: string; key: string }) =>
      new Promise((resolve, reject) => {
        const { port } = server.address() as AddressInfo
        const options = {
          host: '127.0.0.1',
          port,
          ca: ca.cert,
          headers: { authorization: `Bearer ${token}` },
          agent: false,
          ...keys,
        }
        https
          .get(options, async (res) => {
            let text = ''
            for await (const chunk of res) text += chunk
            resolve(JSON.parse(text))
          })
          .on('error', reject)
      })
    const thumbprint = Buffer.from(new X509Certificate(client.cert).fingerprint256.replaceAll(':', ''), 'hex').toString(
      'base64url',
    )
    const bound = issuer.issue({ sub: 'alice', cnf: { 'x5t#S256': thumbprint } })
    expect(await ask(bound)).toEqual(['refused', false])
    expect(await ask(bound, client)).toEqual(['verified', true])
    expect(await ask(bound, strangeClient)).toEqual(['refused', false])
    expect(await ask(bound)).toEqual(['refused', false])
    expect(await ask(issuer.issue({ sub: 'alice', cnf: { jkt: 'x' } }), client)).toEqual(['refused', false])
    expect(issuer.introspection.requests).toBe(2)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('a request', () => {
  test('shows its token as Bearer; none is no refusal, two lines are one', async () => {
    const scheme = introspection()
    const token = issuer.issue({ sub: 'alice' })
    const served = await serve((incoming: IncomingMessage, res: ServerResponse) => {
      const found = scheme.find(incoming, exchangeOf(incoming, res))
      res.setHeader('connection', 'close')
      res.end(JSON.stringify(typeof found === 'object' ? found.error : (found ?? null)))
    })
    const look = async (...lines: string[]) => {
      const head = ['GET / HTTP/1.1', 'Host: a', ...lines].map((line) => `${line}\r\n`).join('')
      return JSON.parse((await rawRequest(served.port, `${head}\r\n`)).response.body.toString())
    }
    expect(await look(`Authorization: Bearer ${token}`)).toBe(token)
    expect(await look()).toBeNull()
    expect(await look(`Authorization: Bearer ${token}`, 'Authorization: Bearer x')).toBe('invalid_request')
    expect(await look(`Authorization: Bearer ${'x'.repeat(8_193)}`)).toBe('invalid_token')
    await served.close()
  })

  test('without one is told how to show it', () => {
    const scheme = introspection({ realm: 'shop' })
    expect(scheme.challenge()).toBe('Bearer realm="shop"')
    expect(scheme.challenge('invalid_token')).toContain('error="invalid_token"')
  })
})

describe('the end', () => {
  test('comes at once, also to those who wait', async () => {
    const watched = unhandled()
    issuer.introspection.fault = 'silent'
    const scheme = introspection()
    const waiting = scheme.verify('token', req)
    await eventually(() => issuer.introspection.open === 1)
    scheme.close()
    scheme.close()
    expect(await waiting).toMatchObject({ outcome: 'unavailable' })
    await eventually(() => issuer.introspection.open === 0)
    expect(scheme.verify('token', req)).toMatchObject({ outcome: 'unavailable', reason: 'closed' })
    expect(failures).toEqual([])
    expect(await watched.stop()).toEqual([])
  })
})
