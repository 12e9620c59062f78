import { Agent } from 'node:http'
import { httpProxyMiddleware, type ProxyOptions } from '@postern/proxy'
import { eventually, refusedPort, request, startUpstream, type UpstreamHandler } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { startApp, using } from '../behaviour.ts'

const upstream = (handler: UpstreamHandler) => using(startUpstream(handler))
const echoing: UpstreamHandler = (req, res, record) => {
  req.resume()
  req.on('end', () => res.end(`got ${record.body.toString()}`))
}
const failing: UpstreamHandler = (req, res) => {
  req.resume()
  req.on('end', () => res.writeHead(503).end())
}
const half: UpstreamHandler = (req, res) => void req.once('data', () => res.socket!.destroy())

const over = (rest: ProxyOptions = {}): ProxyOptions => ({
  transport: httpProxyMiddleware(),
  retries: { attempts: 3, backoff: { baseMs: 1 } },
  ...rest,
})

describe('over http-proxy-middleware, another target is tried', () => {
  it('when no connection is made, for a POST too', async () => {
    const [dead, good] = [await using(refusedPort()), await upstream(echoing)]
    const app = await startApp({ to: [dead.url, good.url], proxy: over() })
    expect((await request(app.url, { method: 'POST', body: 'an order' })).text).toBe('got an order')
  })

  it.each([
    ['answers 503', failing],
    ['breaks off half way', half],
  ])('with the whole body when a PUT meets one that %s, and the connection of the client serves on', async (_, bad) => {
    const [first, good] = [await upstream(bad), await upstream(echoing)]
    const app = await startApp({ to: [first.url, good.url], proxy: over() })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let i = 0; i < 3; i++) {
      const body = `${i}`.repeat(20_000)
      expect((await request(app.url, { method: 'PUT', agent, body })).text).toBe(`got ${body}`)
    }
    expect(app.sockets).toBe(1)
    agent.destroy()
  })

  it('beside one that takes long, which is given up', async () => {
    const [slow, good] = [await upstream((req) => void req.resume()), await upstream(echoing)]
    const app = await startApp({ to: [slow.url, good.url], proxy: over({ hedging: { delayMs: 30 } }) })
    expect((await request(app.url)).text).toBe('got ')
    await eventually(() => expect(slow.last.aborted).toBe(true))
  })
})

it('over http-proxy-middleware, a POST without a key is sent once', async () => {
  const all = [await upstream(failing), await upstream(echoing)]
  const app = await startApp({ to: all.map(({ url }) => url), proxy: over() })
  expect((await request(app.url, { method: 'POST', body: 'an order' })).status).toBe(503)
  expect(all.map(({ requests }) => requests.length)).toEqual([1, 0])
})
