import type { ProxyOptions } from '@postern/proxy'
import { eventually, request, startUpstream, type UpstreamHandler } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { startApp, using } from './behaviour.ts'

const upstream = (handler: UpstreamHandler) => using(startUpstream(handler))
const after =
  (ms: number, text: string, status = 200): UpstreamHandler =>
  (_, res) =>
    void setTimeout(() => res.writeHead(status).end(text), ms).unref()
const hedging: ProxyOptions = { hedging: { delayMs: 40 } }

describe('a hedged request', () => {
  it('is answered by the second target when the first takes long; the first is given up', async () => {
    const [slow, fast] = [await upstream(after(3_000, 'slow')), await upstream(after(0, 'fast'))]
    const app = await startApp({ to: [slow.url, fast.url], proxy: hedging })
    expect((await request(app.url)).text).toBe('fast')
    await eventually(() => expect(slow.last.aborted).toBe(true))
    const { attempts } = app.exchanges[0]!
    expect(attempts.map((attempt) => attempt.kind)).toEqual(['first', 'hedge'])
    expect(attempts[0]!.failure).toMatchObject({ type: 'superseded', side: 'gateway' })
    expect(attempts[0]!.failure!.totalMs).toBeGreaterThan(30)
    expect(app.handler.stats.attempts).toEqual({ retries: 0, hedges: 1, inFlight: 0, overBudget: 0 })
  })

  it('is answered by the first target when that comes first after all', async () => {
    const [first, second] = [await upstream(after(90, 'first')), await upstream(after(3_000, 'second'))]
    const app = await startApp({ to: [first.url, second.url], proxy: hedging })
    expect((await request(app.url)).text).toBe('first')
    await eventually(() => expect(second.last.aborted).toBe(true))
    expect(app.outcomes.map((outcome) => outcome !== undefined)).toEqual([true, true])
  })

  it('is not hedged when the first target is in time', async () => {
    const [first, second] = [await upstream(after(0, 'first')), await upstream(after(0, 'second'))]
    const app = await startApp({ to: [first.url, second.url], proxy: hedging })
    expect((await request(app.url)).text).toBe('first')
    expect(app.handler.stats.attempts.hedges).toBe(0)
    expect(second.requests.length).toBe(0)
  })

  it('waits for the other attempt when one of the two fails', async () => {
    const broken: UpstreamHandler = (_, res) => void setTimeout(() => res.socket!.destroy(), 70)
    const [first, second] = [await upstream(broken), await upstream(after(150, 'second'))]
    const app = await startApp({ to: [first.url, second.url], proxy: hedging })
    expect((await request(app.url)).text).toBe('second')
  })

  it('fails as the last attempt did when both fail', async () => {
    const broken =
      (ms: number): UpstreamHandler =>
      (_, res) =>
        void setTimeout(() => res.socket!.destroy(), ms)
    const all = [await upstream(broken(70)), await upstream(broken(120))]
    const app = await startApp({ to: all.map((each) => each.url), proxy: hedging })
    expect((await request(app.url)).status).toBe(502)
    expect(app.handler.stats.attempts.inFlight).toBe(0)
  })

  it('prefers a sound answer to come over a failed one that is there, where that would be retried', async () => {
    const [bad, good] = [await upstream(after(60, 'no', 503)), await upstream(after(150, 'good'))]
    const app = await startApp({ to: [bad.url, good.url], proxy: { ...hedging, retries: { attempts: 2 } } })
    expect((await request(app.url)).text).toBe('good')
  })

  it('leaves both targets when the client goes', async () => {
    const all = [await upstream(after(3_000, 'a')), await upstream(after(3_000, 'b'))]
    const app = await startApp({ to: all.map((each) => each.url), proxy: hedging })
    const leaving = new AbortController()
    const reply = request(app.url, { signal: leaving.signal }).catch(() => 'left')
    await eventually(() => expect(all.map((each) => each.requests.length)).toEqual([1, 1]))
    leaving.abort()
    await reply
    await eventually(() => expect(all.map((each) => each.last.aborted)).toEqual([true, true]))
    expect(app.exchanges[0]!.failure!.type).toBe('client_aborted')
    expect(app.outcomes).toMatchObject([{ type: 'client_aborted' }, { type: 'client_aborted' }])
  })
})

describe('what is not hedged', () => {
  it.each([
    ['a POST', { method: 'POST' }],
    ['a GET with a body', { method: 'GET', body: 'x', headers: { 'content-length': '1' } }],
    ['a DELETE', { method: 'DELETE' }],
  ])('%s', async (_, how) => {
    const [slow, other] = [await upstream(after(100, 'slow')), await upstream(after(0, 'other'))]
    const app = await startApp({ to: [slow.url, other.url], proxy: hedging })
    expect((await request(app.url, how)).text).toBe('slow')
    expect(other.requests.length).toBe(0)
  })

  it('a request with no other target', async () => {
    const slow = await upstream(after(100, 'slow'))
    const app = await startApp({ to: [slow.url], proxy: hedging })
    expect((await request(app.url)).text).toBe('slow')
    expect(app.handler.stats.attempts).toMatchObject({ hedges: 0, inFlight: 0 })
  })

  it('anything over the budget', async () => {
    const [slow, other] = [await upstream(after(100, 'slow')), await upstream(after(0, 'other'))]
    const app = await startApp({
      to: [slow.url, other.url],
      proxy: { ...hedging, retryBudget: { ratio: 0, min: 0, minPerSecond: 0 } },
    })
    expect((await request(app.url)).text).toBe('slow')
    expect(app.handler.stats.attempts.overBudget).toBe(1)
  })

  it('anything before enough answers were measured; then the slowest are', async () => {
    let asked = 0
    const varying: UpstreamHandler = (req, res) => after(++asked === 41 ? 2_000 : 2, 'x')(req, res, undefined as never)
    const all = [await upstream(varying), await upstream(after(2, 'x'))]
    const app = await startApp({ to: all.map((each) => each.url), proxy: { hedging: { minDelayMs: 60 } } })
    for (let i = 0; i < 80; i++) await request(app.url)
    expect(app.handler.stats.attempts.hedges).toBe(0)
    // The 41st of the first target.
    expect((await request(app.url)).text).toBe('x')
    expect(app.handler.stats.attempts.hedges).toBe(1)
  })
})
