import type { ServerResponse } from 'node:http'
import { eventually, request, startUpstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { rawClient, startApp, using } from './behaviour.ts'

/** An upstream whose answers the test gives, in any order. */
async function startHeld() {
  const held = new Map<string, ServerResponse>()
  const upstream = await using(startUpstream((req, res) => void held.set(req.url!, res)))
  return {
    upstream,
    has: (path: string) => eventually(() => expect([...held.keys()]).toContain(path)),
    answer: (path: string) => held.get(path)!.end(path),
  }
}

const PATIENT = { queueMs: 20_000 }

describe('connections.max', () => {
  test('1: requests wait and are served in the order in which they came', async () => {
    const { upstream, has, answer } = await startHeld()
    const app = await startApp({ to: upstream.url, proxy: { connections: { max: 1 }, timeouts: PATIENT } })
    const paths = ['/1', '/2', '/3', '/4']
    const replies: Promise<unknown>[] = []
    for (const [i, path] of paths.entries()) {
      replies.push(request(app.url + path))
      await eventually(() => expect(app.exchanges.length).toBe(i + 1))
    }
    expect(app.handler.stats.targets).toMatchObject([{ inFlight: 1, queued: 3 }])
    for (const path of paths) {
      await has(path)
      expect(upstream.sockets).toBe(1)
      answer(path)
    }
    expect((await Promise.all(replies)).map((reply) => (reply as { text: string }).text)).toEqual(paths)
    expect(upstream.requests.map((each) => each.url)).toEqual(paths)
    expect(app.handler.stats.targets).toMatchObject([{ inFlight: 0, queued: 0 }])
    expect(app.exchanges[3]!.attempts[0]!.queueMs).toBeGreaterThan(0)
  })

  test('a full queue answers 503 at once, with Retry-After', async () => {
    const { upstream, has, answer } = await startHeld()
    const app = await startApp({
      to: upstream.url,
      proxy: { connections: { max: 1, maxQueued: 1 }, timeouts: PATIENT },
    })
    const first = request(`${app.url}/1`)
    await has('/1')
    const second = request(`${app.url}/2`)
    await eventually(() => expect(app.handler.stats.targets).toMatchObject([{ queued: 1 }]))
    const third = await request(`${app.url}/3`)
    expect(third.status).toBe(503)
    expect(third.headers['retry-after']).toMatch(/^[1-9]/)
    expect(third.json()).toMatchObject({ code: 'upstream_busy' })
    expect(app.exchanges[2]!.failure).toMatchObject({ type: 'connection_limit_reached', side: 'gateway' })
    answer('/1')
    await has('/2')
    answer('/2')
    expect([(await first).status, (await second).status]).toEqual([200, 200])
    expect(app.outcomes[2]).toMatchObject({ type: 'connection_limit_reached' })
  })

  test('maxQueued 0: nobody waits', async () => {
    const { upstream, has, answer } = await startHeld()
    const app = await startApp({
      to: upstream.url,
      proxy: { connections: { max: 1, maxQueued: 0 }, timeouts: PATIENT },
    })
    const first = request(`${app.url}/1`)
    await has('/1')
    expect((await request(`${app.url}/2`)).status).toBe(503)
    answer('/1')
    expect((await first).status).toBe(200)
  })

  test('a client that leaves while it waits frees its place and never reaches the upstream', async () => {
    const { upstream, has, answer } = await startHeld()
    const app = await startApp({
      to: upstream.url,
      proxy: { connections: { max: 1, maxQueued: 1 }, timeouts: PATIENT },
    })
    const first = request(`${app.url}/1`)
    await has('/1')
    const leaver = await rawClient(app.port, 'GET /2 HTTP/1.1\r\nhost: a\r\n\r\n')
    await eventually(() => expect(app.handler.stats.targets).toMatchObject([{ queued: 1 }]))
    leaver.socket.destroy()
    await eventually(() => expect(app.handler.stats.targets).toMatchObject([{ queued: 0 }]))
    const third = request(`${app.url}/3`)
    await eventually(() => expect(app.handler.stats.targets).toMatchObject([{ queued: 1 }]))
    answer('/1')
    await has('/3')
    answer('/3')
    await Promise.all([first, third])
    expect(upstream.requests.map((each) => each.url)).toEqual(['/1', '/3'])
    expect(app.outcomes[1]).toMatchObject({ type: 'client_aborted', phase: 'queue', side: 'client' })
  })

  test('a request that fails gives its place on', async () => {
    const upstream = await using(startUpstream((req, res) => void (req.url === '/bad' ? res.destroy() : res.end('ok'))))
    const app = await startApp({ to: upstream.url, proxy: { connections: { max: 1 }, timeouts: PATIENT } })
    const replies = await Promise.all(['/bad', '/a', '/bad', '/b'].map((path) => request(app.url + path)))
    expect(replies.map((reply) => reply.status)).toEqual([502, 200, 502, 200])
    expect(app.handler.stats.targets).toMatchObject([{ inFlight: 0, queued: 0 }])
  })

  test('open streams of events count, and starve others only to a clear 503', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        if (req.url === '/quick') return void res.end('quick')
        res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { connections: { max: 2 }, timeouts: { queueMs: 60 } } })
    const streams = await Promise.all([1, 2].map(() => rawClient(app.port, 'GET /live HTTP/1.1\r\nhost: a\r\n\r\n')))
    await Promise.all(streams.map((stream) => stream.has('200 OK')))
    expect(app.handler.stats.targets).toMatchObject([{ inFlight: 2 }])
    const starved = await request(`${app.url}/quick`)
    expect(starved.status).toBe(503)
    expect(app.exchanges.at(-1)!.failure).toMatchObject({ type: 'queue_timeout' })
    streams[0]!.socket.destroy()
    await eventually(async () => expect((await request(`${app.url}/quick`)).text).toBe('quick'))
  })

  test('each target has its own', async () => {
    const a = await startHeld()
    const b = await using(startUpstream())
    const app = await startApp({
      to: [a.upstream.url, b.url],
      proxy: { connections: { max: 1, maxQueued: 0 }, timeouts: PATIENT },
    })
    const first = request(`${app.url}/1`)
    await a.has('/1')
    expect((await request(`${app.url}/2`)).status).toBe(200)
    a.answer('/1')
    expect((await first).status).toBe(200)
  })

  test('no more connections than max are ever open, under a burst', async () => {
    let open = 0
    let most = 0
    const upstream = await using(
      startUpstream((_req, res) => {
        most = Math.max(most, ++open)
        setTimeout(() => {
          open--
          res.end('ok')
        }, 2)
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { connections: { max: 3 }, timeouts: PATIENT } })
    const replies = await Promise.all(Array.from({ length: 60 }, () => request(app.url)))
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([200]))
    expect(most).toBe(3)
    expect(upstream.connections).toBeLessThanOrEqual(3)
  })

  test('connections are used again', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url })
    for (let i = 0; i < 5; i++) await request(app.url)
    expect(upstream.connections).toBe(1)
    expect(app.exchanges.map((exchange) => exchange.attempts[0]!.reused)).toEqual([false, true, true, true, true])
  })

  test('an idle one is closed after keepAliveMs', async () => {
    const upstream = await using(startUpstream())
    const app = await startApp({ to: upstream.url, proxy: { connections: { keepAliveMs: 50 } } })
    await request(app.url)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })
})
