import { Agent } from 'node:http'
import { balancer } from '@postern/balancer'
import { circuitBreaker } from '@postern/circuit-breaker'
import { proxy } from '@postern/proxy'
import { eventually, type Reply, refusedPort, request } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { closing, saying, served, upstream } from './support.ts'

describe('an upstream that fails every request', () => {
  it('gets at most 1.2 times the load of the clients, with three attempts each and all the rest of the gateway', async () => {
    const all = await Promise.all(['a', 'b', 'c'].map(() => upstream(saying('no', 503))))
    const pool = closing(balancer({ targets: all.map(({ url }) => url) }))
    const forward = closing(proxy({ retries: { attempts: 3 } }))
    const url = await served((app) => app.use(pool, forward))
    const agent = new Agent({ keepAlive: true, maxSockets: 32 })
    const replies = await Promise.all(Array.from({ length: 1_000 }, () => request(url, { agent })))
    agent.destroy()
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]))
    const load = all.reduce((sum, { requests }) => sum + requests.length, 0)
    expect(load).toBeGreaterThan(1_000)
    expect(load).toBeLessThanOrEqual(1_200)
    expect(forward.stats.attempts.inFlight).toBe(0)
  })

  it('gets less than that behind a circuit breaker, and what is refused says when to come again', async () => {
    const all = await Promise.all(['a', 'b', 'c'].map(() => upstream(saying('no', 500))))
    const pool = closing(balancer({ targets: all.map(({ url }) => url), outliers: false }))
    const breaker = closing(circuitBreaker({ openMs: 60_000 }))
    const forward = closing(proxy({ retries: { attempts: 3, statuses: [500] } }))
    const url = await served((app) => app.use(pool, breaker, forward))
    const replies: Reply[] = []
    for (let i = 0; i < 100; i++) replies.push(await request(url))
    // Seven failures in a row at each of three targets.
    expect(all.map(({ requests }) => requests.length)).toEqual([7, 7, 7])
    const refused = replies.filter(({ status }) => status === 503)
    expect(refused.length).toBeGreaterThan(75)
    expect(refused.every(({ headers }) => Number(headers['retry-after']) >= 1)).toBe(true)
  })
})

describe('a half-open circuit', () => {
  it('lets one of 200 concurrent requests through as its probe', async () => {
    let answer: (() => void) | undefined
    let sound = false
    const target = await upstream((req, res) => {
      if (sound) answer = () => res.end('well again')
      else saying('no', 500)(req, res, target.last)
    })
    const pool = closing(balancer({ targets: [target.url], outliers: false }))
    const breaker = closing(circuitBreaker({ consecutiveFailures: 3, openMs: 40, jitter: 0, probeTimeoutMs: 20_000 }))
    const forward = closing(proxy())
    const url = await served((app) => app.use(pool, breaker, forward))
    for (let i = 0; i < 3; i++) await request(url)
    expect(breaker.circuits[0]!.state).toBe('open')
    sound = true
    await eventually(() => expect(breaker.circuits[0]!.state).toBe('half-open'))

    const before = target.requests.length
    const replies: Reply[] = []
    const all = Array.from({ length: 200 }, () => request(url).then((reply) => void replies.push(reply)))
    await eventually(() => expect(replies.length).toBe(199), { timeoutMs: 15_000 })
    expect(target.requests.length - before).toBe(1)
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]))
    answer!()
    await Promise.all(all)
    expect(replies.at(-1)!.text).toBe('well again')
    expect(breaker.circuits[0]!.state).toBe('closed')
  })
})

describe('a POST without a key', () => {
  it.each([
    ['breaks the connection', 'reset'],
    ['breaks the connection in its answer', 'half'],
    ['answers 503', '503'],
    ['is silent', 'silent'],
    ['answers what is not HTTP', 'garbage'],
  ])('is sent once when its target %s, with every part of the gateway in front', async (_, how) => {
    const all = await Promise.all(
      ['a', 'b', 'c'].map(() =>
        upstream((req, res) => {
          req.resume()
          req.on('end', () => {
            if (how === 'reset') res.socket!.destroy()
            else if (how === 'half') res.socket!.end('HTTP/1.1 200 OK\r\ncontent-le')
            else if (how === '503') res.writeHead(503).end()
            else if (how === 'garbage') res.socket!.end('NOT HTTP AT ALL\r\n\r\n')
          })
        }),
      ),
    )
    const pool = closing(balancer({ targets: all.map(({ url }) => url) }))
    const breaker = closing(circuitBreaker())
    const forward = closing(
      proxy({
        retries: { attempts: 3, perTryTimeoutMs: 30 },
        hedging: { delayMs: 20 },
        timeouts: { headersMs: 150 },
      }),
    )
    const url = await served((app) => app.use(pool, breaker, forward))
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, i) => request(url, { method: 'POST', body: `order ${i}` })),
    )
    expect(replies.every(({ status }) => status >= 502 && status <= 504)).toBe(true)
    const bodies = all.flatMap(({ requests }) => requests.map(({ body }) => body.toString()))
    expect(bodies.length).toBe(new Set(bodies).size)
  })

  it('goes elsewhere when no connection is made, and is done once', async () => {
    const dead = closing(await refusedPort())
    const good = await upstream(saying('done'))
    const pool = closing(balancer({ targets: [dead.url, good.url], strategy: 'round-robin' }))
    const url = await served((app) => app.use(pool, closing(proxy({ retries: { attempts: 2 } }))))
    const replies = await Promise.all(Array.from({ length: 20 }, () => request(url, { method: 'POST', body: 'x' })))
    expect(replies.map(({ text }) => text)).toEqual(Array(20).fill('done'))
    expect(good.requests.length).toBe(20)
  })
})

describe('a client that leaves', () => {
  it('changes no health, no circuit and no budget', async () => {
    const target = await upstream((req) => void req.resume())
    const pool = closing(
      balancer({ targets: [target.url], outliers: { consecutiveFailures: 2 }, strategy: 'peak-ewma' }),
    )
    const breaker = closing(circuitBreaker({ consecutiveFailures: 2 }))
    const forward = closing(proxy({ retries: { attempts: 3 } }))
    const url = await served((app) => app.use(pool, breaker, forward))
    for (let i = 0; i < 30; i++) {
      const leaving = new AbortController()
      const left = request(url, { signal: leaving.signal }).catch(() => 'left')
      await eventually(() => expect(target.requests.length).toBe(i + 1))
      leaving.abort()
      expect(await left).toBe('left')
    }
    await eventually(() => expect(pool.targets[0]!.inFlight).toBe(0))
    expect(pool.targets[0]).toMatchObject({ failures: 0, eligible: true, consecutiveFailures: 0, unreachable: false })
    expect(breaker.circuits).toMatchObject([{ state: 'closed', counts: { failures: 0 } }])
    expect(forward.stats.attempts).toEqual({ retries: 0, hedges: 0, inFlight: 0, overBudget: 0 })
  })
})
