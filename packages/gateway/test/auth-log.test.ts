import { basic, hashPassword } from '@postern/auth'
import { connectWebSocket, eventually, request, startWebSocketUpstream } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { bearer, closers, dead, faultsOf, partners, provider, start, upstream } from './auth-support.ts'
import { Sink } from './log-sink.ts'

function logged() {
  const sink = new Sink()
  return {
    sink,
    logger: {
      stream: sink,
      flushIntervalMs: 0,
      headers: ['authorization', 'cookie', 'x-api-key', 'sec-websocket-protocol'],
    },
  }
}

describe('the line of a request', () => {
  it('names who has called', async () => {
    const { users, token } = await provider()
    const { sink, logger } = logged()
    const told = await upstream((_req, res) => void res.end())
    const { url } = await start({
      logger,
      upstreams: { told: { targets: [told.url] } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ path: '/me', upstream: 'told' }],
    })
    await request(`${url}/me`, bearer(await token('alice')))
    const line = await sink.one()
    expect(line).toMatchObject({ status: 200, subject: 'alice', route: '/me' })
    expect(line).not.toHaveProperty('problem')
  })

  it('tells the operator why somebody was refused, of which the client learns nothing', async () => {
    const { users, token } = await provider()
    const { sink, logger } = logged()
    const { url } = await start({
      logger,
      upstreams: { gone: { targets: [await dead()], retries: false } },
      auth: { schemes: users, rule: { claims: { scheme: 'nobody' } } },
      routes: [
        { path: '/a', respond: { status: 204 } },
        { path: '/b', respond: { status: 204 }, auth: { rule: { scopes: 'b:read' } } },
        { path: '/c', upstream: 'gone', auth: { rule: 'authenticated' } },
      ],
    })
    const good = await token('alice')
    const [head, payload] = good.split('.')
    const replies = []
    replies.push(await request(`${url}/a`))
    replies.push(await request(`${url}/a`, bearer('a.b.c')))
    replies.push(await request(`${url}/a`, bearer(`${head}.${payload}.${'A'.repeat(86)}`)))
    replies.push(await request(`${url}/a`, bearer(good)))
    replies.push(await request(`${url}/b`, bearer(good)))
    replies.push(await request(`${url}/c`, bearer(good)))
    const lines = await sink.until(6)
    const told = lines.map(({ status, problem, problemReason, subject }) => [status, problem, problemReason, subject])
    expect(told).toEqual([
      [401, 'authentication_required', undefined, undefined],
      [401, 'invalid_credentials', expect.stringMatching(/^jwt refused the credentials: /), undefined],
      [401, 'invalid_credentials', 'jwt refused the credentials: signature', undefined],
      [403, 'access_denied', 'gateway: claims.scheme does not hold', 'alice'],
      [403, 'insufficient_scope', '/b: scopes does not hold', 'alice'],
      [502, expect.any(String), expect.anything(), 'alice'],
    ])
    for (const [i, reply] of replies.entries()) {
      const reason = lines[i]!.problemReason
      if (reason !== undefined) expect(reply.text).not.toContain(reason)
      expect(reply.text).not.toMatch(/signature|claims|does not hold/)
    }
  })

  it('says why also where a fallback has answered', async () => {
    const { sink, logger } = logged()
    const { url } = await start({
      logger,
      upstreams: { gone: { targets: [await dead()], retries: false, fallback: (_req, res) => void res.end('sorry') } },
      routes: [{ prefix: '/', upstream: 'gone' }],
    })
    expect((await request(url)).text).toBe('sorry')
    expect(await sink.one()).toMatchObject({ status: 200, failure: 'connection_refused', problem: expect.any(String) })
  })

  // E17: credentials have ended up in the logs of gateways by every one of these ways.
  it('holds no credentials: of no field, no query, no Referer and no sub-protocol, good ones or wrong', async () => {
    const { users, token } = await provider({
      from: ['header', { cookie: 'session' }, { subprotocol: 'bearer' }],
    })
    const { scheme, key } = partners({ from: [{ header: 'x-api-key' }, { query: 'api_key' }] })
    const password = 'correct-horse-battery'
    const people = basic({ users: { carol: await hashPassword(password) } })
    const { sink, logger } = logged()
    const socketUpstream = await startWebSocketUpstream()
    closers.push(() => socketUpstream.close())
    const { url } = await start({
      logger,
      upstreams: { events: { targets: [socketUpstream.url] } },
      auth: { schemes: [users, scheme, people], rule: 'authenticated' },
      routes: [
        { path: '/events', upstream: 'events' },
        { prefix: '/', respond: { status: 204 } },
      ],
    })
    const good = await token()
    const opaque = 'Zq9-opaque-token-of-somebody'
    const pair = Buffer.from(`carol:${password}`).toString('base64')
    const wrongPair = Buffer.from('carol:hunter2-hunter2').toString('base64')
    const secrets = [good, good.split('.')[2]!, key, opaque, pair, wrongPair, password, 'hunter2-hunter2']
    const tries: { path?: string; headers?: Record<string, string> }[] = []
    for (const each of [good, opaque, key]) {
      tries.push({ headers: { authorization: `Bearer ${each}` } })
      tries.push({ headers: { cookie: `theme=dark; session=${each}` } })
      tries.push({ headers: { 'x-api-key': each } })
      for (const name of ['access_token', 'api_key', 'apikey', 'Access_Token', 'access%5ftoken', 'key', 'token']) {
        tries.push({ path: `/x?a=1&${name}=${each}&z=2` })
        tries.push({ headers: { referer: `https://shop.test/?${name}=${each}` } })
      }
      tries.push({ path: `/x?next=${encodeURIComponent(`https://shop.test/cb?access_token=${each}`)}` })
    }
    for (const each of [pair, wrongPair]) tries.push({ headers: { authorization: `Basic ${each}` } })
    tries.push({ path: `http://carol:${password}@shop.test/x` })
    for (const options of tries) await request(url, options)
    await sink.until(tries.length)
    for (const each of [good, opaque]) {
      const socket = await connectWebSocket(`${url}/events`, ['bearer', each]).catch(() => undefined)
      await socket?.close()
    }
    await sink.until(tries.length + 2)
    for (const secret of secrets) expect(sink.text).not.toContain(secret)
    // And yet there is something to see.
    expect(sink.text).toContain('a=1&access_token=[redacted]&z=2')
    expect(sink.text).toContain('"authorization":"[redacted]"')
    expect(sink.text).toContain('"subject":"carol"')
    await eventually(() => expect(sink.text).toContain('"subject":"reseller"'))
  })

  // `?k=` and `X-Partner` say to nobody but the scheme that a secret stands there.
  it('holds no credentials either where the schemes of any route read them under names of their own', async () => {
    const { sink, logger } = logged()
    const { scheme, key } = partners({ from: [{ header: 'X-Partner' }, { query: 'k' }], name: 'own' })
    const { users } = await provider()
    const { url } = await start({
      logger: { ...logger, headers: ['x-partner', 'x-other'], redact: { query: ['voucher'] } },
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated' },
      routes: [
        { path: '/partners', respond: { status: 204 }, auth: { schemes: scheme } },
        { prefix: '/', public: true, respond: { status: 204 } },
      ],
    })
    await request(`${url}/partners?k=${key}`)
    await request(`${url}/partners`, { headers: { 'x-partner': key, 'x-other': 'shown' } })
    await request(`${url}/else?K=${key}&voucher=free-lunch&page=2`, { headers: { 'x-partner': `${key}x` } })
    const lines = await sink.until(3)
    expect(lines.map(({ status, subject }) => [status, subject])).toEqual([
      [204, 'reseller'],
      [204, 'reseller'],
      [204, undefined],
    ])
    expect(sink.text).not.toContain(key)
    expect(lines[1]!.requestHeaders).toEqual({ 'x-partner': '[redacted]', 'x-other': 'shown' })
    expect(lines[2]!.query).toBe('K=[redacted]&voucher=[redacted]&page=2')
  })

  it.each([null, 5, 'x'])('does not hide a fault of redact (%j)', (redact) => {
    const { scheme } = partners()
    const config = { upstreams: {}, routes: [], auth: { schemes: scheme, rule: 'authenticated' } }
    expect(faultsOf({ ...config, logger: { redact } }).join()).toMatch(/^logger\.redact/)
    expect(faultsOf({ ...config, logger: redact }).join()).toMatch(/^logger/)
  })

  it('stays one line whatever a client writes into its name or its token', async () => {
    const { users, token } = await provider()
    const { sink, logger } = logged()
    const { url } = await start({
      logger,
      upstreams: {},
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ prefix: '/', respond: { status: 204 } }],
    })
    const name = 'eve"}\n{"level":"info","subject":"root\u2028\u001b[31m'
    expect((await request(url, bearer(await token(name)))).status).toBe(204)
    const [line] = await sink.until(1)
    expect(line!.subject).toBeTypeOf('string')
    expect(sink.text.split('\n')).toHaveLength(2)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that must not be there.
    expect(sink.text.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u2028]/)
  })
})
