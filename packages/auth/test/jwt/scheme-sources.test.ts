import { proxy } from '@postern/proxy'
import { connectWebSocket, HandshakeRefused, startWebSocketUpstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import {
  CHALLENGE,
  expectInvalidToken,
  expectRefused,
  INVALID_REQUEST,
  jwtApi,
  using,
  welcomeOf,
} from '../support/api.ts'

describe('a token in a cookie', () => {
  const from = { cookie: 'session' } as const

  test('is read among others, and nowhere else', async () => {
    const app = await jwtApi({ jwt: { from } })
    const token = await app.issuer.sign()
    welcomeOf(await app.ask({ cookie: `a=b; session=${token}; c=d` }))
    expectRefused(await app.bear(token), 'authentication_required', CHALLENGE)
    expectRefused(
      await app.ask({ cookie: `Session=${token}; xsession=${token}` }),
      'authentication_required',
      CHALLENGE,
    )
    expectInvalidToken(await app.ask({ cookie: 'session=x.y.z' }))
    expectRefused(
      await app.ask({ cookie: `session=${token}; session=${token}` }),
      'ambiguous_credentials',
      INVALID_REQUEST,
    )
  })

  test('a page of another origin cannot have the browser use it', async () => {
    const app = await jwtApi({ jwt: { from: { cookie: 'session', origins: ['https://shop.test'] } } })
    const cookie = `session=${await app.issuer.sign()}`
    const post = (headers: Record<string, string>) =>
      app.ask({ host: 'api.test', cookie, ...headers }, { method: 'POST' })
    for (const headers of [
      { origin: 'https://evil.test' },
      { origin: 'null' },
      { origin: 'https://api.test' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'https://shop.test.evil.test' },
    ]) {
      expectRefused(await post(headers as never), 'foreign_origin')
    }
    expect(app.reached).toBe(0)
    welcomeOf(await post({ origin: 'http://api.test' }))
    welcomeOf(await post({ origin: 'https://shop.test' }))
    // Reading is safe; and a program that is no browser sends no Origin.
    welcomeOf(await app.ask({ cookie, origin: 'https://evil.test' }))
    welcomeOf(await post({}))
  })
})

test('a function of the app’s own: what it finds is held to the same rules; when it throws nobody gets in', async () => {
  const app = await jwtApi({
    jwt: {
      from: (req) => {
        if (req.headers['x-boom'] !== undefined) throw new Error('secret detail')
        return req.headers['x-token'] as string | undefined
      },
    },
  })
  const token = await app.issuer.sign()
  welcomeOf(await app.ask({ 'x-token': token }))
  expectInvalidToken(await app.ask({ 'x-token': `${token} x` }))
  expectRefused(await app.ask(), 'authentication_required', CHALLENGE)
  expectInvalidToken(await app.ask({ 'x-token': token, 'x-boom': '1' }))
})

test('two sources at once are refused, whichever of them is good, and whether or not they agree', async () => {
  const app = await jwtApi({ jwt: { from: ['header', { cookie: 'session' }, { header: 'x-jwt' }] } })
  const token = await app.issuer.sign()
  welcomeOf(await app.bear(token))
  welcomeOf(await app.ask({ cookie: `session=${token}` }))
  welcomeOf(await app.ask({ 'x-jwt': token }))
  for (const other of [token, 'x.y.z']) {
    const replies = [
      await app.ask({ authorization: `Bearer ${token}`, cookie: `session=${other}` }),
      await app.ask({ authorization: `Bearer ${other}`, 'x-jwt': token }),
      await app.ask({ cookie: `session=${token}`, 'x-jwt': other }),
    ]
    for (const reply of replies) expectRefused(reply, 'ambiguous_credentials', INVALID_REQUEST)
  }
  expect(app.reached).toBe(3)
})

describe('WebSockets', () => {
  test('a browser has no headers to set: the token comes as a sub-protocol, and the upstream does not see it', async () => {
    const upstream = await using(startWebSocketUpstream())
    const forward = proxy({ target: upstream.url })
    const app = await jwtApi({
      jwt: { from: ['header', { subprotocol: 'bearer' }] },
      authenticate: { credentials: 'drop' },
      api: { upgrades: true, last: forward as never },
    })
    const token = await app.issuer.sign()
    const socket = await connectWebSocket(app.url, ['bearer', token, 'chat'])
    socket.send('hello')
    expect((await socket.next()).data.toString()).toBe('hello')
    expect(socket.protocol).toBe('chat')
    await socket.close()
    const byHeader = await connectWebSocket(app.url, [], { headers: { authorization: `Bearer ${token}` } })
    await byHeader.close()
    const seen = JSON.stringify(upstream.webSockets.map(({ rawHeaders, url }) => [rawHeaders, url]))
    expect(upstream.webSockets.length).toBe(2)
    expect(seen).not.toContain(token)
    expect(seen).not.toContain('bearer')
    await forward.close({ graceMs: 1_000 })
  })

  test('a refused handshake is an HTTP answer, and the upstream hears nothing', async () => {
    const upstream = await using(startWebSocketUpstream())
    const forward = proxy({ target: upstream.url })
    const app = await jwtApi({
      jwt: { from: ['header', { subprotocol: 'bearer' }] },
      api: { upgrades: true, last: forward as never },
    })
    const token = await app.issuer.sign()
    const attempts: [string[], Record<string, string>, number][] = [
      [['chat'], {}, 401],
      [['bearer', 'x.y.z'], {}, 401],
      [['bearer'], {}, 401],
      [['bearer', token], { authorization: `Bearer ${token}` }, 400],
      [[], { authorization: 'Bearer x.y.z' }, 401],
    ]
    for (const [protocols, headers, status] of attempts) {
      const refusal = await connectWebSocket(app.url, protocols, { headers }).then(
        () => undefined,
        (error: unknown) => error as HandshakeRefused,
      )
      expect(refusal).toBeInstanceOf(HandshakeRefused)
      expect([refusal!.status, refusal!.headers['www-authenticate']]).toEqual([
        status,
        expect.stringMatching(/^Bearer realm="api"/),
      ])
      expect(JSON.parse(refusal!.body)).toMatchObject({ status })
    }
    expect([upstream.webSockets.length, upstream.sockets]).toEqual([0, 0])
    await forward.close({ graceMs: 1_000 })
  })
})
