import { internalIssuer } from '@postern/auth'
import {
  connectWebSocket,
  eventually,
  HandshakeRefused,
  startWebSocketUpstream,
  type WebSocketUpstreamOptions,
} from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import type { UpstreamConfig } from '../src/index.ts'
import { closers, type Provider, provider, start } from './auth-support.ts'

/** A gateway in front of a WebSocket service that takes tokens from everywhere. */
async function events(more: Partial<UpstreamConfig> = {}, service: WebSocketUpstreamOptions = {}) {
  const upstream = await startWebSocketUpstream(service)
  closers.push(() => upstream.close())
  const source = await provider({ from: ['header', { cookie: 'session' }, { subprotocol: 'bearer' }] })
  const { url } = await start({
    upstreams: { events: { targets: [upstream.url], ...more } },
    auth: { schemes: source.users, rule: { scopes: 'events:read' }, credentials: 'drop' },
    routes: [{ path: '/events', upstream: 'events' }],
  })
  return { upstream, url: `${url}/events`, origin: url, token: () => listener(source) }
}

const listener = ({ token }: Provider) => token('alice', 'events:read')

async function refusal(connecting: Promise<unknown>): Promise<HandshakeRefused> {
  const error = await connecting.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(HandshakeRefused)
  return error as HandshakeRefused
}

describe('a WebSocket', () => {
  it('opens with a token in Authorization, which the service does not see', async () => {
    const { url, upstream, token } = await events()
    const socket = await connectWebSocket(url, [], { headers: { authorization: `Bearer ${await token()}` } })
    socket.send('hello')
    expect(String((await socket.next()).data)).toBe('hello')
    await socket.close()
    expect(upstream.webSockets[0]!.headers).not.toHaveProperty('authorization')
  })

  it('without a token, or with one that does not do, is answered as any request is', async () => {
    const { url, upstream, token } = await events()
    const none = await refusal(connectWebSocket(url))
    expect([none.status, none.headers['www-authenticate']]).toEqual([401, 'Bearer realm="api"'])
    expect(JSON.parse(none.body)).toMatchObject({ code: 'authentication_required' })
    const wrong = await refusal(connectWebSocket(url, ['bearer', 'a.b.c']))
    expect([wrong.status, JSON.parse(wrong.body).code]).toEqual([401, 'invalid_credentials'])
    const twice = await refusal(
      connectWebSocket(url, ['bearer', await token()], { headers: { authorization: `Bearer ${await token()}` } }),
    )
    expect([twice.status, JSON.parse(twice.body).code]).toEqual([400, 'ambiguous_credentials'])
    expect(upstream.webSockets).toHaveLength(0)
    // A socket whose handshake was refused is not left open.
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  it('opens with a cookie for pages of the same origin and clients that are no browsers, and for no other page', async () => {
    const { url, upstream, origin, token } = await events()
    const cookie = `theme=dark; session=${await token()}`
    for (const from of [undefined, origin]) {
      const headers = { cookie, ...(from === undefined ? {} : { origin: from }) }
      const socket = await connectWebSocket(url, [], { headers })
      await socket.close()
    }
    expect(upstream.webSockets.map(({ headers }) => headers.cookie)).toEqual(['theme=dark', 'theme=dark'])
    for (const from of ['https://evil.test', 'null', `${origin}.evil.test`]) {
      const refused = await refusal(connectWebSocket(url, [], { headers: { cookie, origin: from } }))
      expect([from, refused.status, JSON.parse(refused.body).code]).toEqual([from, 403, 'foreign_origin'])
    }
    expect(upstream.webSockets).toHaveLength(2)
  })

  it('opens with a sub-protocol, and the service chooses among what is left', async () => {
    const { url, upstream, token } = await events()
    const socket = await connectWebSocket(url, ['bearer', await token(), 'chat.v1', 'chat.v2'])
    expect(socket.protocol).toBe('chat.v1')
    socket.send('hello')
    expect(String((await socket.next()).data)).toBe('hello')
    await socket.close()
    expect(upstream.webSockets[0]!.headers['sec-websocket-protocol']).toBe('chat.v1, chat.v2')
  })

  // Browsers end a connection for which none of their offers was chosen.
  it('is told the marker where the client has offered nothing beside its token', async () => {
    const { url, upstream, token } = await events()
    const bearer = await token()
    const socket = await connectWebSocket(url, ['bearer', bearer])
    expect(socket.protocol).toBe('bearer')
    await socket.close()
    expect(upstream.webSockets[0]!.rawHeaders.join('\n')).not.toContain(bearer)
    expect(upstream.webSockets[0]!.headers).not.toHaveProperty('sec-websocket-protocol')
  })

  it('tells the service who is calling, and nothing that a client has written there', async () => {
    const issuer = internalIssuer({ issuer: 'https://gw.test' })
    const identity = { headers: { 'x-user': 'subject' }, token: { issuer, audience: 'events' } } as const
    const { url, upstream, token } = await events({ identity })
    const headers = { 'X-User': 'root', x_user: 'root', connection: 'upgrade, x-user, authorization' }
    const socket = await connectWebSocket(url, ['bearer', await token()], { headers })
    await socket.close()
    const [seen] = upstream.webSockets
    expect(seen!.headers['x-user']).toBe('alice')
    expect(seen!.headers).not.toHaveProperty('x_user')
    expect(seen!.headers.authorization).toMatch(/^Bearer eyJ/)
    const [, payload] = seen!.headers.authorization!.split('.')
    expect(JSON.parse(Buffer.from(payload!, 'base64url').toString())).toMatchObject({ aud: 'events', sub: 'alice' })
  })
})
