import { eventually, request, startUpstream, type Upstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { identityRefused, providerFailed } from '../../src/channels.ts'
import type { TokenExchangeOptions } from '../../src/forward/exchange-options.ts'
import { identityOf } from '../../src/scheme.ts'
import type { Fault } from '../support/endpoint.ts'
import {
  alice,
  BEARER,
  exchangedFor,
  type Gateway,
  gateway,
  granted,
  HandClock,
  startTokenEndpoint,
  type TokenEndpoint,
  told,
  using,
  warnings,
} from './support.ts'

const CLIENT = { id: 'gateway', secret: 'hunter2-hunter2' }
const FORM = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' }

interface Setting {
  readonly upstream: Upstream
  readonly sts: TokenEndpoint
  readonly clock: HandClock
  readonly app: Gateway
  /** Status and problem code of a request with that token. */
  ask(token?: string): Promise<readonly [status: number, code: string | undefined]>
}

async function setUp(options: Partial<TokenExchangeOptions> = {}): Promise<Setting> {
  const upstream = await using(startUpstream())
  const sts = await startTokenEndpoint()
  const clock = new HandClock()
  const app = await gateway({
    target: upstream.url,
    forward: { exchange: { endpoint: sts.url, client: CLIENT, allowHttp: true, ...options }, clock },
    callers: new Proxy({}, { get: (_, token) => (token === '' ? undefined : alice) }),
  })
  return {
    upstream,
    sts,
    clock,
    app,
    async ask(token = 'good') {
      const reply = await request(app.url, { headers: { authorization: `Bearer ${token}` } })
      const { code } = reply.json() as { code?: string }
      return [reply.status, code]
    },
  }
}

describe('exchanging the token of a caller', () => {
  test('the upstream gets the new one in place of the client’s', async () => {
    const { upstream, sts, app } = await setUp()
    expect((await request(app.url, { headers: { ...BEARER, 'x-api-key': 'second' } })).status).toBe(200)
    expect(upstream.last.all('authorization')).toEqual([`Bearer ${exchangedFor('good')}`])
    expect(upstream.last.headers['x-api-key']).toBe(undefined)
    expect(Object.fromEntries(sts.forms[0]!)).toEqual({
      ...FORM,
      subject_token: 'good',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    })
    expect(sts.authorizations).toEqual([`Basic ${btoa('gateway:hunter2-hunter2')}`])
  })

  test('audience, resource, scope and types are asked for as told, in another header', async () => {
    const { upstream, sts, ask } = await setUp({
      audience: ['orders', 'billing'],
      resource: 'https://orders.test/api?a=1&b=2',
      scope: 'read write',
      requestedTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
      header: 'X-Upstream-Token',
    })
    expect(await ask()).toEqual([200, undefined])
    expect([...sts.forms[0]!]).toEqual([
      ['grant_type', FORM.grant_type],
      ['audience', 'orders'],
      ['audience', 'billing'],
      ['resource', 'https://orders.test/api?a=1&b=2'],
      ['scope', 'read write'],
      ['requested_token_type', 'urn:ietf:params:oauth:token-type:jwt'],
      ['subject_token_type', 'urn:ietf:params:oauth:token-type:jwt'],
      ['subject_token', 'good'],
    ])
    expect(upstream.last.headers['x-upstream-token']).toBe(exchangedFor('good'))
    expect(upstream.last.headers.authorization).toBe(undefined)
  })

  test('client credentials with colons and spaces stay what they are, in either place', async () => {
    const client = { id: 'a:b c', secret: 'p:ä+%&' }
    const basic = await setUp({ client })
    await basic.ask()
    const [id, secret] = atob(basic.sts.authorizations[0]!.slice('Basic '.length)).split(':')
    const decode = (part: string): string => new URLSearchParams(`v=${part}`).get('v')!
    expect([decode(id!), decode(secret!)]).toEqual([client.id, client.secret])
    const post = await setUp({ client: { ...client, method: 'post' } })
    await post.ask()
    expect(Object.fromEntries(post.sts.forms[0]!)).toMatchObject({ client_id: client.id, client_secret: client.secret })
    expect(post.sts.authorizations).toEqual([undefined])
  })

  test('credentials that are no token never go to the server', async () => {
    const upstream = await using(startUpstream())
    const sts = await startTokenEndpoint()
    const warned = warnings('POSTERN_EXCHANGE_WITHOUT_TOKEN')
    const app = await gateway({
      target: upstream.url,
      forward: { exchange: { endpoint: sts.url, client: CLIENT, allowHttp: true } },
      callers: { key: identityOf('api-key', 'shop') },
    })
    const reply = await request(app.url, { headers: { 'x-api-key': 'key' } })
    expect([reply.status, (reply.json() as { code: string }).code]).toEqual([403, 'access_denied'])
    expect(sts.forms).toHaveLength(0)
    await eventually(() => expect(warned).toHaveLength(1))
    expect(warned[0]!.message).toMatch(/api-key.*exchange\.schemes/)
    // Anonymous callers have nothing to exchange, and pass as such.
    expect((await request(app.url, { headers: { authorization: 'Bearer forged' } })).status).toBe(200)
    expect(upstream.last.headers.authorization).toBe(undefined)
  })
})

describe('remembering', () => {
  test('a token is asked for once, until nine tenths of its life are over', async () => {
    const { sts, clock, ask } = await setUp()
    for (let i = 0; i < 3; i++) expect(await ask()).toEqual([200, undefined])
    clock.advance(269_999)
    await ask()
    expect(sts.endpoint.requests).toBe(1)
    clock.advance(1)
    await ask()
    expect(sts.endpoint.requests).toBe(2)
  })

  test('never longer than the ceiling, and not at all without a life', async () => {
    const { sts, clock, ask } = await setUp({ maxCacheMs: 1_000 })
    await ask()
    clock.advance(1_000)
    await ask()
    expect(sts.endpoint.requests).toBe(2)
    for (const expires_in of [undefined, null, 0, -1, 'soon', [300], {}]) {
      const before = sts.endpoint.requests
      sts.answer = (form) => ({ body: { ...granted(form), expires_in } })
      const token = `t-${String(before)}`
      expect([await ask(token), await ask(token)]).toEqual([
        [200, undefined],
        [200, undefined],
      ])
      expect(sts.endpoint.requests).toBe(before + 2)
    }
    sts.answer = (form) => ({ body: { ...granted(form), expires_in: '300' } })
    const before = sts.endpoint.requests
    await ask('text')
    await ask('text')
    expect(sts.endpoint.requests).toBe(before + 1)
  })

  test('callers never get each other’s tokens, and the table keeps within its bound', async () => {
    const { upstream, sts, ask } = await setUp({ maxEntries: 2 })
    for (const token of ['a', 'b', 'c']) {
      await ask(token)
      expect(upstream.last.headers.authorization).toBe(`Bearer ${exchangedFor(token)}`)
    }
    await ask('c')
    expect(sts.endpoint.requests).toBe(3)
    await ask('a')
    expect(upstream.last.headers.authorization).toBe(`Bearer ${exchangedFor('a')}`)
    expect(sts.endpoint.requests).toBe(4)
  })

  test('many requests with one token ask once', async () => {
    const { sts, ask } = await setUp()
    const release = sts.endpoint.hold()
    const asked = Promise.all(Array.from({ length: 40 }, () => ask()))
    await eventually(() => expect(sts.endpoint.requests).toBe(1))
    release()
    expect(new Set((await asked).map(([status]) => status))).toEqual(new Set([200]))
    expect(sts.endpoint.requests).toBe(1)
  })

  test('more callers than 256 at once are told to come again', async () => {
    const { sts, ask } = await setUp({ timeoutMs: 20_000 })
    const release = sts.endpoint.hold()
    const asked = Array.from({ length: 300 }, (_, i) => ask(`t-${i}`))
    let refused = 0
    for (const each of asked) void each.then(([status]) => void (refused += status === 503 ? 1 : 0))
    await eventually(() => expect(refused).toBe(44), { timeoutMs: 15_000 })
    release()
    const statuses = (await Promise.all(asked)).map(([status]) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(256)
    // A crowd leaves nothing behind.
    expect(await ask('late')).toEqual([200, undefined])
  })
})

describe('a server that says no', () => {
  test.each([
    [400, 'invalid_grant'],
    [400, 'invalid_request'],
    [400, 'invalid_target'],
    [400, 'invalid_scope'],
    [403, 'access_denied'],
  ])('%i %s is about the caller: 403, for a while without asking again', async (status, error) => {
    const failures = told(providerFailed)
    const refusals = told(identityRefused)
    const { upstream, sts, clock, ask } = await setUp()
    sts.answer = () => ({ status, body: { error, error_description: 'token was stolen' } })
    expect([await ask(), await ask()]).toEqual([
      [403, 'access_denied'],
      [403, 'access_denied'],
    ])
    expect(sts.endpoint.requests).toBe(1)
    expect([upstream.requests.length, failures.length]).toEqual([0, 0])
    expect(refusals[0]).toMatchObject({ status: 403, reason: 'exchange-denied' })
    sts.answer = undefined
    clock.advance(10_000)
    expect(await ask()).toEqual([200, undefined])
  })

  test.each([
    [401, { error: 'invalid_client' }],
    [400, { error: 'unauthorized_client' }],
    [400, { error: 'unsupported_grant_type' }],
    [400, { error: ['invalid_grant'] }],
    [400, null],
    [401, { error: 'invalid_grant' }],
    [404, {}],
    [429, {}],
    [500, { error: 'server_error' }],
    [201, { access_token: 'abc', token_type: 'Bearer' }],
    [200, null],
    [200, []],
    [200, 'token'],
    [200, {}],
    [200, { access_token: 7, token_type: 'Bearer' }],
    [200, { access_token: '', token_type: 'Bearer' }],
    [200, { access_token: 'a\r\nx-user: root', token_type: 'Bearer' }],
    [200, { access_token: 'a b', token_type: 'Bearer' }],
    [200, { access_token: 'ä', token_type: 'Bearer' }],
    [200, { access_token: 'abc' }],
    [200, { access_token: 'abc', token_type: 'DPoP' }],
  ])('%i %j is trouble of the gateway or the server: 503, and told to the operator', async (status, body) => {
    const failures = told(providerFailed)
    const { upstream, sts, ask } = await setUp()
    sts.answer = () => ({ status, body })
    expect(await ask()).toEqual([503, 'identity_unavailable'])
    expect(failures).toMatchObject([{ provider: 'token-exchange', url: sts.url }])
    expect(String(failures[0]!.error)).not.toContain(CLIENT.secret)
    expect(upstream.requests).toHaveLength(0)
    // Nothing of it is remembered.
    sts.answer = undefined
    expect(await ask()).toEqual([200, undefined])
  })

  test.each<Fault>(['down', 'silent', 'dribble', 'cut', 'redirect', 'huge', 'endless', 'not-json', 'packed', 500])(
    'a server that is %s: 503 in time, remembered callers pass, and all is well once it is back',
    async (fault) => {
      const failures = told(providerFailed)
      const { upstream, sts, ask } = await setUp({ timeoutMs: 400 })
      expect(await ask('known')).toEqual([200, undefined])
      sts.endpoint.fault = fault
      const startedAt = performance.now()
      expect(await ask()).toEqual([503, 'identity_unavailable'])
      expect(performance.now() - startedAt).toBeLessThan(5_000)
      expect(await ask('known')).toEqual([200, undefined])
      expect([failures.length, sts.endpoint.followed, upstream.requests.length]).toEqual([1, 0, 2])
      sts.endpoint.fault = undefined
      expect(await ask()).toEqual([200, undefined])
    },
  )

  test('a token that is longer than a header may be is no answer', async () => {
    const { sts, ask } = await setUp()
    sts.answer = () => ({ body: { access_token: 'x'.repeat(16_385), token_type: 'Bearer' } })
    expect(await ask()).toEqual([503, 'identity_unavailable'])
  })

  test('`N_A` is a token like any other, and bearer is read in any case', async () => {
    const { sts, ask } = await setUp()
    for (const token_type of ['N_A', 'bearer', 'BEARER']) {
      sts.answer = (form) => ({ body: { ...granted(form), token_type } })
      expect(await ask(token_type)).toEqual([200, undefined])
    }
  })

  test('a closed handler refuses, and asks nobody any more', async () => {
    const { sts, app, ask } = await setUp()
    await ask()
    for (const handler of app.handlers) {
      handler.close()
      handler.close()
    }
    expect(await ask()).toEqual([503, 'identity_unavailable'])
    expect(sts.endpoint.requests).toBe(1)
  })

  test('closing while a question is under way ends it', async () => {
    const { sts, app, ask } = await setUp({ timeoutMs: 20_000 })
    sts.endpoint.fault = 'silent'
    const asked = ask()
    await eventually(() => expect(sts.endpoint.requests).toBe(1))
    app.handlers[0]!.close()
    expect(await asked).toEqual([503, 'identity_unavailable'])
  })
})
