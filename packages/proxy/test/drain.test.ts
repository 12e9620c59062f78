import type { ServerResponse } from 'node:http'
import { attachUpgrades, proxy } from '@postern/proxy'
import {
  connectWebSocket,
  eventually,
  neverAnswer,
  rawRequest,
  request,
  serve,
  staleOnReuse,
  startRawUpstream,
  startUpstream,
  startWebSocketUpstream,
} from '@postern/test-kit'
import { describe, expect, test, vi } from 'vitest'
import { gate, rawClient, startApp, using } from './behaviour.ts'

describe('close()', () => {
  test('lets a slow request finish; new ones get 503 with Retry-After and Connection: close', async () => {
    const held: ServerResponse[] = []
    const upstream = await using(startUpstream((_req, res) => void held.push(res)))
    const app = await startApp({ to: upstream.url })
    const slow = request(app.url)
    await eventually(() => expect(held.length).toBe(1))
    const closed = app.handler.close({ graceMs: 10_000 })
    const late = await request(app.url)
    expect(late.status).toBe(503)
    expect(late.headers['retry-after']).toMatch(/^[1-9]/)
    expect(late.headers.connection).toBe('close')
    expect(late.json()).toMatchObject({ code: 'proxy_closing' })
    held[0]!.end('finished')
    expect(await slow).toMatchObject({ status: 200, text: 'finished', complete: true })
    await closed
    expect(upstream.requests.length).toBe(1)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('graceMs cuts the rest: an answer that has begun, one that has not, and one that waits', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        if (req.url === '/begun') res.write('begun')
      }),
    )
    const app = await startApp({
      to: upstream.url,
      proxy: { connections: { max: 2 }, timeouts: { queueMs: 20_000 } },
    })
    const begun = request(`${app.url}/begun`)
    const waiting = request(`${app.url}/silent`)
    await eventually(() => expect(upstream.requests.length).toBe(2))
    const queued = request(`${app.url}/queued`)
    await eventually(() => expect(app.handler.stats.targets).toMatchObject([{ queued: 1 }]))
    await app.handler.close({ graceMs: 30 })
    expect(await begun).toMatchObject({ text: 'begun', complete: false })
    expect((await waiting).status).toBe(503)
    expect((await queued).status).toBe(503)
    await eventually(() => expect(upstream.sockets).toBe(0))
    expect(app.handler.stats.active).toBe(0)
    expect(upstream.requests.length).toBe(2)
    // It was us who cut: no target pays for it.
    expect(app.outcomes).toMatchObject([1, 2, 3].map(() => ({ type: 'destination_unavailable', side: 'gateway' })))
  })

  // Each that failed gave its place to the next, which failed at once and gave its place on, one inside the other.
  test('cuts thousands that wait without running out of stack', async () => {
    const upstream = await using(startRawUpstream(neverAnswer()))
    const app = await startApp({
      to: upstream.url,
      proxy: { connections: { max: 1, maxQueued: 5_000 }, timeouts: { queueMs: 0 } },
    })
    const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
    const clients = await Promise.all(Array.from({ length: 2_500 }, () => rawClient(app.port, get)))
    await eventually(() => expect(app.handler.stats.targets).toMatchObject([{ queued: 2_499 }]), { timeoutMs: 20_000 })
    await app.handler.close({ graceMs: 10 })
    await Promise.all(clients.map((client) => client.has('503 Service Unavailable')))
    expect(app.handler.stats).toMatchObject({ active: 0, targets: [{ inFlight: 0, queued: 0 }] })
  })

  // A second try goes over a connection of its own, which was in no pool and so in no list of what to cut.
  test('graceMs cuts a request that is on its second connection, too', async () => {
    const upstream = await using(startRawUpstream([staleOnReuse('reset'), neverAnswer()]))
    const app = await startApp({ to: upstream.url })
    expect((await request(app.url)).status).toBe(200)
    const second = request(app.url)
    await eventually(() => expect(upstream.connections.length).toBe(2))
    await eventually(() => expect(upstream.connections[1]!.received.length).toBeGreaterThan(0))
    await app.handler.close({ graceMs: 30 })
    expect((await second).status).toBe(503)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('a request whose hook still waits then is never sent', async () => {
    const upstream = await using(startUpstream())
    const hook = gate()
    const app = await startApp({ to: upstream.url, proxy: { onRequest: () => hook.promise } })
    const waiting = request(app.url)
    await eventually(() => expect(app.handler.stats.active).toBe(1))
    await app.handler.close({ graceMs: 20 })
    hook.open()
    expect((await waiting).status).toBe(503)
    expect(upstream.connections).toBe(0)
    expect(app.handler.stats.active).toBe(0)
  })

  test('is idempotent: one closing, one promise', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url })
    await request(app.url)
    const first = app.handler.close()
    expect(app.handler.close({ graceMs: 1 })).toBe(first)
    await first
    await app.handler.close()
  })

  test('with nothing under way it resolves at once', async () => {
    const handler = proxy('http://127.0.0.1:9')
    await handler.close({ graceMs: 60_000 })
  })

  // setTimeout takes what is over 2^31-1 for 1: a grace without end was none at all.
  test.each([Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 40])('a grace of %d ms waits', async (graceMs) => {
    const held: ServerResponse[] = []
    const upstream = await using(startUpstream((_req, res) => void held.push(res)))
    const app = await startApp({ to: upstream.url })
    const slow = request(app.url)
    await eventually(() => expect(held.length).toBe(1))
    const closed = app.handler.close({ graceMs })
    await pause(50)
    held[0]!.end('finished')
    expect(await slow).toMatchObject({ status: 200, text: 'finished' })
    await closed
  })

  test.each([Number.NaN, -1, '100' as never])('a grace of %s is refused', async (graceMs) => {
    const handler = proxy('http://127.0.0.1:9')
    expect(() => handler.close({ graceMs })).toThrow(/graceMs/)
    await handler.close()
  })

  test('leaves no timer, socket or request of its own behind', async () => {
    const upstream = await using(startUpstream())
    const sockets = await using(startWebSocketUpstream())
    await settled()
    const before = resources()
    const handler = proxy({ target: upstream.url, timeouts: { totalMs: 60_000 }, connections: { keepAliveMs: 60_000 } })
    const tunnels = proxy(sockets.url)
    const served = await serve((req, res) => (req.url === '/ws' ? tunnels : handler)(req, res))
    attachUpgrades(served.server, served.server.listeners('request')[0] as never)
    for (let i = 0; i < 5; i++) await request(served.url)
    await rawRequest(served.port, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf', {
      timeoutMs: 50,
    })
    await connectWebSocket(`${served.url}/ws`)
    const closing = [handler.close(), tunnels.close()]
    await Promise.all(closing)
    await served.close()
    await eventually(() => expect([upstream.sockets, sockets.sockets]).toEqual([0, 0]))
    // A timer of the test runner may have gone meanwhile: what counts is that none has come.
    await eventually(() => {
      for (const [name, count] of Object.entries(resources()))
        expect([name, count <= (before[name] ?? 0)]).toEqual([name, true])
    })
  })
})

describe('WebSockets when the gateway goes away', () => {
  test('both ends are told 1001, and close() resolves when they are gone', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({ to: upstream.url, upgrades: true })
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectWebSocket(app.url)))
    await app.handler.close({ graceMs: 5_000 })
    for (const client of clients) expect(await client.ended).toMatchObject({ code: 1001 })
    await eventually(() => expect(upstream.webSockets.map((each) => each.end?.code)).toEqual(clients.map(() => 1001)))
    expect(app.handler.stats).toMatchObject({ active: 0, tunnels: 0 })
    await eventually(() => expect(app.outcomes).toMatchObject(clients.map(() => ({ status: 101 }))))
  })

  test('in the middle of a large fragmented message, at a frame boundary: the other end sees no torn frame', async () => {
    const upstream = await using(startWebSocketUpstream({ perMessageDeflate: false, echo: false }))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await connectWebSocket(app.url, [], { perMessageDeflate: false })
    const errors: Error[] = []
    client.socket.on('error', (error) => errors.push(error))
    const server = upstream.webSockets[0]!.socket
    server.on('error', (error) => errors.push(error))
    const fragment = Buffer.alloc(1 << 20, 7)
    for (let i = 0; i < 8; i++) {
      server.send(fragment, { binary: true, fin: false })
      client.socket.send(fragment, { binary: true, fin: false })
    }
    await eventually(() => expect(app.exchanges[0]!.responseBodyBytes).toBeGreaterThan(1 << 19))
    const closed = app.handler.close({ graceMs: 5_000 })
    expect(await client.ended).toMatchObject({ code: 1001 })
    await eventually(() => expect(upstream.webSockets[0]!.end).toMatchObject({ code: 1001 }))
    await closed
    expect(errors).toEqual([])
  })

  test('a frame that never ends is cut when the grace is over', async () => {
    const upstream = await using(startWebSocketUpstream({ perMessageDeflate: false }))
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await connectWebSocket(app.url, [], { perMessageDeflate: false })
    const raw = (upstream.webSockets[0]!.socket as unknown as { _socket: import('node:net').Socket })._socket
    raw.write(Buffer.from([0x82, 126, 0xff, 0xff, 1, 2, 3]))
    await eventually(() => expect(app.exchanges[0]!.responseBodyBytes).toBe(7))
    await app.handler.close({ graceMs: 40 })
    expect(await client.ended).toMatchObject({ code: 1006 })
    expect(app.handler.stats.tunnels).toBe(0)
  })

  test('drain() tells them, and requests are served as before', async () => {
    const upstream = await using(startWebSocketUpstream())
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await connectWebSocket(app.url)
    app.handler.drain()
    expect(await client.ended).toMatchObject({ code: 1001 })
    expect((await request(app.url)).status).toBe(426)
    const again = await connectWebSocket(app.url)
    again.send('still served')
    expect((await again.next()).data.toString()).toBe('still served')
    await again.close()
  })

  // It was told nothing, and cut ten seconds later as one that had been told and did not go.
  test('drain() leaves another protocol alone for as long as it likes', async () => {
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n')
        socket.on('data', (chunk) => socket.write(chunk))
      }),
    )
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: foo\r\n\r\n')
    await client.has('\r\n\r\n')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    app.handler.drain()
    vi.advanceTimersByTime(60_000)
    vi.useRealTimers()
    client.socket.write('still here')
    await client.has('still here')
  })

  test('another protocol hears nothing it could not read, and is cut when the grace is over', async () => {
    const upstream = await using(
      startRawUpstream(async ({ socket, nextRequest }) => {
        await nextRequest()
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n')
      }),
    )
    const app = await startApp({ to: upstream.url, upgrades: true })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: foo\r\n\r\n')
    await client.has('\r\n\r\n')
    const before = client.text
    await app.handler.close({ graceMs: 40 })
    await eventually(() => expect(client.closed || client.ended).toBe(true))
    expect(client.text).toBe(before)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })
})

function pause(ms: number): Promise<void> {
  const over = gate()
  setTimeout(over.open, ms)
  return over.promise
}

/** What keeps the process alive, by kind. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Lets what other tests have closed go. */
async function settled(): Promise<void> {
  let last = ''
  await eventually(() => {
    const now = process.getActiveResourcesInfo().sort().join()
    const same = now === last
    last = now
    return same
  })
}
