import { clientCertificate, internalIssuer } from '@postern/auth'
import { connectWebSocket, request, startWebSocketUpstream } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import type { GatewayConfig, RouteConfig, UpstreamConfig } from '../src/index.ts'
import { bearer, closers, partners, provider, seenOf, start, upstream } from './auth-support.ts'

/** A gateway with two schemes and one upstream; every way to show credentials is in `shown`. */
async function open(
  route: Omit<RouteConfig<'told'>, 'prefix' | 'upstream'>,
  {
    auth = {},
    identity,
  }: { auth?: Partial<NonNullable<GatewayConfig['auth']>>; identity?: UpstreamConfig['identity'] } = {},
) {
  const { users, token } = await provider({ from: ['header', { cookie: 'session' }] })
  const { scheme, key } = partners({ from: [{ header: 'x-api-key' }, { query: 'api_key' }] })
  const told = await upstream((_req, res) => void res.end())
  const { url } = await start({
    upstreams: { told: { targets: [told.url], ...(identity === undefined ? {} : { identity }) } },
    auth: { schemes: [users, scheme], rule: 'authenticated', ...auth },
    routes: [{ prefix: '/', upstream: 'told', ...route }],
  })
  const good = await token()
  const headers = { authorization: `Bearer ${good}`, cookie: `theme=dark; session=${good}`, 'x-api-key': key }
  return { url: `${url}/x?page=2&api_key=${key}`, told, good, key, headers, users, scheme }
}

/** All that the upstream saw, as one text. */
const textOf = ({ requests }: Awaited<ReturnType<typeof upstream>>) =>
  requests.map((each) => [each.url, ...each.rawHeaders].join('\n')).join('\n')

const token = () => ({ token: { issuer: internalIssuer({ issuer: 'https://gw.test' }), audience: 'told' } })

describe('the credentials of a client, on a public route', () => {
  // A public route asks nobody, and so nobody knew where credentials stood: a service that was to see none got all of them.
  it.each([
    ['whose upstream gets a token of the gateway’s', { identity: token() }],
    ['under credentials: drop', { auth: { credentials: 'drop' } }],
  ] as const)('%s, do not go on, and all else does', async (_name, options) => {
    const { url, told, good, key, headers } = await open({ public: true }, options)
    expect((await request(url, { headers })).status).toBe(200)
    expect(textOf(told)).not.toContain(good)
    expect(textOf(told)).not.toContain(key)
    expect([told.last.url, told.last.headers.cookie]).toEqual(['/x?page=2', 'theme=dark'])
  })

  it('go on where nothing is dropped', async () => {
    for (const options of [{}, { identity: { headers: { 'x-user': 'subject' } } }]) {
      const { url, told, headers } = await open({ public: true }, options)
      await request(url, { headers })
      expect(told.last.headers).toMatchObject(headers)
    }
  })

  it('go on where an upstream is to see them beside the gateway’s token', async () => {
    const identity = { token: { ...token().token, header: 'x-id' }, credentials: 'pass' } as const
    const { url, told, headers } = await open({ public: true }, { identity })
    await request(url, { headers })
    expect(told.last.headers).toMatchObject(headers)
  })

  it('do not take the place of what the route itself sends there', async () => {
    const route = { public: true, requestHeaders: { set: { authorization: 'Basic b3duOm93bg==' } } } as const
    const { url, told, headers } = await open(route, { auth: { credentials: 'drop' } })
    await request(url, { headers })
    expect(seenOf(told, 'authorization')).toEqual(['Basic b3duOm93bg=='])
  })

  it('do not go on in a sub-protocol either', async () => {
    const { users, token: sign } = await provider({ from: { subprotocol: 'bearer' } })
    const events = await startWebSocketUpstream()
    closers.push(() => events.close())
    const { url } = await start({
      upstreams: { events: { targets: [events.url], identity: token() } },
      auth: { schemes: users, rule: 'authenticated' },
      routes: [{ path: '/events', public: true, upstream: 'events' }],
    })
    const socket = await connectWebSocket(`${url}/events`, ['bearer', await sign(), 'chat.v1'])
    expect(socket.protocol).toBe('chat.v1')
    await socket.close()
    expect(events.webSockets[0]!.headers['sec-websocket-protocol']).toBe('chat.v1')
  })
})

describe('the credentials of schemes that a route does not ask', () => {
  it('are dropped as those are that it asks', async () => {
    const { scheme: own, key: ownKey } = partners({ from: { header: 'x-own' }, name: 'own' })
    const route = { auth: { schemes: own } }
    for (const options of [{ identity: token() }, { auth: { credentials: 'drop' } }] as const) {
      const { url, told, good, key, headers } = await open(route, options)
      expect((await request(url, { headers: { ...headers, 'x-own': ownKey } })).status).toBe(200)
      for (const secret of [good, key, ownKey]) expect(textOf(told)).not.toContain(secret)
    }
  })

  it('are dropped on each way out of a split that leads to a service which sees none', async () => {
    const { users, token: sign } = await provider()
    const { scheme, key } = partners()
    const told = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: { told: { targets: [told.url], identity: token() } },
      auth: { schemes: scheme, rule: 'authenticated' },
      routes: [
        { prefix: '/own', auth: { schemes: users }, split: { branches: [{ id: 'a', weight: 1, upstream: 'told' }] } },
        { prefix: '/', public: true, split: [{ id: 'a', weight: 1, upstream: 'told' }] },
      ],
    })
    const headers = { ...bearer(await sign()).headers, 'x-api-key': key }
    for (const path of ['/own', '/']) expect((await request(`${url}${path}`, { headers })).status).toBe(200)
    expect(seenOf(told, 'x-api-key')).toEqual([])
  })
})

describe('a certificate that a client only writes about', () => {
  it('is told to no upstream, on routes that ask for certificates and on all others', async () => {
    const { users, token: sign } = await provider()
    const certificates = clientCertificate({ header: 'client-cert' })
    const told = await upstream((_req, res) => void res.end())
    const { url } = await start({
      upstreams: { told: { targets: [told.url] } },
      auth: { schemes: [users, certificates], rule: 'authenticated' },
      routes: [
        { path: '/public', public: true, upstream: 'told' },
        { path: '/users', auth: { schemes: users }, upstream: 'told' },
        { prefix: '/', upstream: 'told' },
      ],
    })
    const forged = ['Client-Cert', ':Zm9yZ2Vk:', 'client_cert', ':Zm9yZ2Vk:', 'Client-Cert-Chain', ':Zm9yZ2Vk:']
    const headers = ['host', 'api.test', 'authorization', `Bearer ${await sign()}`, ...forged]
    for (const path of ['/public', '/users', '/']) {
      expect((await request(`${url}${path}`, { headers })).status).toBe(200)
    }
    expect(told.requests).toHaveLength(3)
    expect([seenOf(told, 'client-cert'), seenOf(told, 'client-cert-chain')]).toEqual([[], []])
  })
})
