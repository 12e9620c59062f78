import { Agent } from 'node:http'
import { type BalancerOptions, balancer } from '@postern/balancer'
import { proxy } from '@postern/proxy'
import { eventually, request } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { closing, oneAtATime, percentile, saying, served, upstream } from './support.ts'

describe('one of three targets that is ten times slower', () => {
  /** The p99 of an open loop at a rate that the two others could serve by themselves. */
  async function p99Of(strategy: NonNullable<BalancerOptions['strategy']>): Promise<number> {
    const targets = await Promise.all([4, 4, 40].map((latencyMs) => upstream(oneAtATime(latencyMs))))
    const pool = closing(balancer({ targets: targets.map(({ url }) => url), strategy }))
    const url = await served((app) => app.use(pool, closing(proxy({ timeouts: { headersMs: 60_000 } }))))
    const agent = new Agent({ keepAlive: true, maxSockets: 1_024 })
    const pending: Promise<number>[] = []
    const startedAt = performance.now()
    for (let i = 0; i < 400; i++) {
      const dueAt = startedAt + i * 8
      if (dueAt > performance.now()) await new Promise((resolve) => setTimeout(resolve, dueAt - performance.now()))
      pending.push(request(url, { agent, timeoutMs: 60_000 }).then(() => performance.now() - dueAt))
    }
    const latencies = await Promise.all(pending)
    agent.destroy()
    return percentile(latencies, 0.99)
  }

  it('spoils the p99 of a power of two choices and of peak EWMA at least three times less than of round-robin', async () => {
    const roundRobin = await p99Of('round-robin')
    const choices = await p99Of('power-of-two-choices')
    const ewma = await p99Of('peak-ewma')
    expect(roundRobin / choices).toBeGreaterThan(3)
    expect(roundRobin / ewma).toBeGreaterThan(3)
  })
})

describe('ten hashed targets', () => {
  const KEYS = Array.from({ length: 2_000 }, (_, i) => `user-${i}`)

  it('keep at least 88 % of the keys where they are when one of them goes, and all keys of those that stay', async () => {
    const targets = await Promise.all(Array.from({ length: 10 }, (_, i) => upstream(saying(`target-${i}`))))
    const inputs = targets.map(({ url }, i) => ({ url, id: `target-${i}` }))
    const pool = closing(balancer({ targets: inputs, strategy: { name: 'hash', key: { header: 'x-user' } } }))
    const url = await served((app) => app.use(pool, closing(proxy())))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const places = async (): Promise<string[]> => {
      const found: string[] = []
      // One at a time: nobody is passed over for being busy.
      for (const user of KEYS) found.push((await request(url, { agent, headers: { 'x-user': user } })).text)
      return found
    }
    const before = await places()
    pool.replace(inputs.filter(({ id }) => id !== 'target-3'))
    const after = await places()
    agent.destroy()
    const moved = before.filter((place, i) => place !== after[i])
    expect(moved.length / KEYS.length).toBeLessThanOrEqual(0.12)
    expect(new Set(moved)).toEqual(new Set(['target-3']))
  })

  it('are never filled beyond 1.25 times their share, though all clients ask for the same key', async () => {
    const held: (() => void)[] = []
    const targets = await Promise.all(
      Array.from({ length: 10 }, () => upstream((_req, res) => void held.push(() => res.end('done')))),
    )
    const pool = closing(
      balancer({ targets: targets.map(({ url }) => url), strategy: { name: 'hash', key: { header: 'x-user' } } }),
    )
    const url = await served((app) => app.use(pool, closing(proxy())))
    const agent = new Agent({ keepAlive: true, maxSockets: 400 })
    const all = Array.from({ length: 400 }, () => request(url, { agent, headers: { 'x-user': 'the-same' } }))
    await eventually(() => expect(held.length).toBe(400), { timeoutMs: 15_000 })
    const most = Math.max(...pool.targets.map(({ inFlight }) => inFlight))
    expect(most).toBeLessThanOrEqual(Math.ceil(1.25 * 40))
    expect(most).toBeGreaterThan(40)
    for (const answer of held) answer()
    await Promise.all(all)
    agent.destroy()
  })
})
