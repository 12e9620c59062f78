import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, refusedPort, startUpstream, type Upstream } from '@postern/test-kit'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type BalancerOptions, balancer, type TargetChange, targetChanged } from '../../src/index.ts'
import { lease, OK, REFUSED, seeded, selectionOf } from '../support.ts'

const FAILED = { status: 500, headersMs: 1, totalMs: 2 } as const
const FAST = { path: '/healthz', intervalMs: 20, unhealthyIntervalMs: 10, timeoutMs: 1_000 } as const

const listeners: ((change: TargetChange) => void)[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const listener of listeners.splice(0)) targetChanged.unsubscribe(listener)
})

function changes(): string[] {
  const seen: string[] = []
  const listener = ({ change, target }: TargetChange) => void seen.push(`${change}:${target.id}`)
  listeners.push(listener)
  targetChanged.subscribe(listener)
  return seen
}

/** Upstreams that answer what `status` says, and a balancer of them. */
async function probed(count: number, options: Omit<BalancerOptions, 'targets'> = {}) {
  const statuses: number[] = Array(count).fill(200)
  const upstreams: Upstream[] = []
  for (let i = 0; i < count; i++) {
    const upstream = await startUpstream((_req, res) => {
      res.statusCode = statuses[i]!
      res.end()
    })
    onTestFinished(() => upstream.close())
    upstreams.push(upstream)
  }
  const handler = balancer({
    targets: upstreams.map(({ url }, i) => ({ url, id: `t${i}` })),
    health: FAST,
    random: seeded(5),
    ...options,
  })
  onTestFinished(() => handler.close())
  return { statuses, upstreams, handler }
}

describe('probes of a pool', () => {
  it('begin with the first request, and go on until close()', async () => {
    const { upstreams, handler } = await probed(2)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(upstreams.flatMap(({ requests }) => requests)).toEqual([])
    lease(handler).settle(OK)
    await eventually(() => upstreams.every(({ requests }) => requests.length >= 3))
    handler.close()
    const seen = upstreams.map(({ requests }) => requests.length)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(upstreams.map(({ requests }) => requests.length)).toEqual(seen)
    await eventually(() => upstreams.every(({ sockets }) => sockets === 0))
    handler.start()
    handler.close()
  })

  it('begin with start(), too', async () => {
    const { upstreams, handler } = await probed(1)
    expect(handler.targets[0]).toMatchObject({ health: 'unknown', eligible: true, lastProbe: undefined })
    handler.start()
    await eventually(() => handler.targets[0]?.health === 'healthy')
    expect(handler.targets[0]?.lastProbe).toMatchObject({ healthy: true, status: 200 })
    expect(upstreams[0]?.last.url).toBe('/healthz')
  })

  it('take a target out after two failures in a row, and bring it back after one success', async () => {
    const { statuses, handler } = await probed(3)
    const seen = changes()
    handler.start()
    await eventually(() => handler.targets.every(({ health }) => health === 'healthy'))
    statuses[1] = 503
    await eventually(() => handler.targets[1]?.eligible === false)
    expect(handler.targets[1]).toMatchObject({ health: 'unhealthy', unreachable: false, lastProbe: { status: 503 } })
    for (let i = 0; i < 20; i++) expect(lease(handler).target.id).not.toBe('t1')
    statuses[1] = 200
    await eventually(() => handler.targets[1]?.eligible === true)
    expect(seen.filter((change) => change.endsWith('t1'))).toEqual(['healthy:t1', 'unhealthy:t1', 'healthy:t1'])
  })

  it('wait for the thresholds that are set', async () => {
    const { statuses, upstreams, handler } = await probed(1, {
      health: { ...FAST, unhealthyAfter: 4, healthyAfter: 3 },
      panicThreshold: 0,
    })
    statuses[0] = 500
    handler.start()
    await eventually(() => handler.targets[0]?.health === 'unhealthy')
    expect(upstreams[0]?.requests.length).toBeGreaterThanOrEqual(4)
    expect(selectionOf(handler).acquire()).toEqual({ reason: 'all_unhealthy', retryAfterMs: 10 })
    const before = upstreams[0]!.requests.length
    statuses[0] = 200
    await eventually(() => handler.targets[0]?.health === 'healthy')
    expect(upstreams[0]!.requests.length - before).toBeGreaterThanOrEqual(3)
  })

  it('find out at once that a target cannot be reached, and that it can again', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const socketPath = join(directory, 'app.sock')
    const handler = balancer({ targets: [`unix:${socketPath}`], health: { ...FAST, unhealthyAfter: 1_000 } })
    onTestFinished(() => handler.close())
    handler.start()
    await eventually(() => handler.targets[0]?.unreachable === true)
    expect(handler.targets[0]).toMatchObject({ health: 'unhealthy', lastProbe: { fault: 'ENOENT' } })
    const up = await startUpstream((_req, res) => void res.end(), { socketPath })
    onTestFinished(() => up.close())
    await eventually(() => handler.targets[0]?.health === 'healthy')
    expect(handler.targets[0]).toMatchObject({ unreachable: false, eligible: true })
  })

  it('clear what attempts said of the connection, but not an ejection for what a living target answers', async () => {
    const { handler } = await probed(4, { health: { ...FAST, intervalMs: 1_000_000 } })
    handler.start()
    lease(handler, ({ id }) => id === 't0').settle(REFUSED)
    for (let i = 0; i < 5; i++) lease(handler, ({ id }) => id === 't1').settle(FAILED)
    expect(handler.targets.map(({ eligible }) => eligible)).toEqual([false, false, true, true])
    await handler.check('t0')
    await handler.check('t1')
    expect(handler.targets.map(({ eligible }) => eligible)).toEqual([true, false, true, true])
    expect(handler.targets[1]).toMatchObject({ health: 'unhealthy', lastProbe: { healthy: true } })
  })

  it('of another port say nothing of connections to the target’s own', async () => {
    const { upstreams } = await probed(2)
    const port = await refusedPort()
    onTestFinished(() => port.close())
    const of = (target: string, probePort: number) => {
      const handler = balancer({ targets: [{ url: target, id: 'a' }], health: { ...FAST, port: probePort } })
      onTestFinished(() => handler.close())
      return handler
    }
    const deaf = of(upstreams[0]!.url, port.port)
    await deaf.check('a')
    expect(deaf.targets[0]).toMatchObject({ unreachable: false, lastProbe: { fault: 'ECONNREFUSED' } })
    const dead = of(port.url, upstreams[1]!.port)
    lease(dead).settle(REFUSED)
    await dead.check('a')
    expect(dead.targets[0]).toMatchObject({ unreachable: true, lastProbe: { healthy: true } })
  })

  it('end the ejection of a target that they have seen down, since it is another one now', async () => {
    const { statuses, handler } = await probed(3, { health: { ...FAST, intervalMs: 1_000_000 } })
    for (let i = 0; i < 5; i++) lease(handler, ({ id }) => id === 't0').settle(FAILED)
    statuses[0] = 503
    await handler.check('t0')
    await handler.check('t0')
    statuses[0] = 200
    await handler.check('t0')
    expect(handler.targets[0]).toMatchObject({ eligible: true, ejectedForMs: 0, health: 'healthy' })
  })

  it('come sooner while a target is out: it is back within a second of its return', async () => {
    const { upstreams, handler } = await probed(2, { health: { path: '/healthz', intervalMs: 60_000 } })
    handler.start()
    lease(handler, ({ id }) => id === 't0').settle(REFUSED)
    const sinceMs = performance.now()
    await eventually(() => handler.targets[0]?.unreachable === false)
    expect(performance.now() - sinceMs).toBeLessThan(1_100)
    expect(upstreams[1]?.requests).toEqual([])
  })

  it('never go to one target twice at a time', async () => {
    let most = 0
    let open = 0
    const slow = await startUpstream((_req, res) => {
      most = Math.max(most, ++open)
      setTimeout(() => res.end(), 30)
      res.once('close', () => open--)
    })
    onTestFinished(() => slow.close())
    const handler = balancer({ targets: [{ url: slow.url, id: 'a' }], health: { ...FAST, intervalMs: 1 } })
    onTestFinished(() => handler.close())
    handler.start()
    const checks = Array.from({ length: 10 }, () => handler.check('a'))
    await Promise.all(checks)
    await eventually(() => slow.requests.length >= 4)
    expect(most).toBe(1)
  })

  it('follow the list: begin with those that come, end with those that leave', async () => {
    const { upstreams, handler } = await probed(2)
    handler.replace([{ url: upstreams[0]!.url, id: 't0' }])
    handler.start()
    await eventually(() => upstreams[0]!.requests.length >= 2)
    expect(upstreams[1]?.requests).toEqual([])
    handler.replace([{ url: upstreams[1]!.url, id: 't1' }])
    await eventually(() => upstreams[1]!.requests.length >= 2)
    const before = upstreams[0]!.requests.length
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(upstreams[0]?.requests).toHaveLength(before)
  })

  it('leave a drained target drained, and still say how it is', async () => {
    const { handler } = await probed(1)
    await handler.drain('t0')
    handler.start()
    await eventually(() => handler.targets[0]?.health === 'healthy')
    expect(handler.targets[0]).toMatchObject({ state: 'drained', eligible: false })
  })
})

describe('two instances', () => {
  it('never probe in step: each begins at a moment of its own, and no pause is like the next', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const delays: number[][] = []
    for (const seed of [1, 2]) {
      const timer = vi.spyOn(globalThis, 'setTimeout')
      const handler = balancer({
        targets: ['a', 'b', 'c'].map((id) => ({ url: 'http://127.0.0.1:9', id })),
        health: '/healthz',
        random: seeded(seed),
      })
      handler.start()
      delays.push(timer.mock.calls.map(([, ms]) => ms!))
      timer.mockRestore()
      handler.close()
    }
    const all = delays.flat()
    expect(all).toHaveLength(6)
    expect(new Set(all).size).toBe(6)
    for (const ms of all) expect(ms).toBeLessThan(5_000)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('keep apart in the pauses that follow', async () => {
    const { upstreams, handler } = await probed(1, { health: { ...FAST, intervalMs: 50, jitter: 0.5 } })
    const atMs: number[] = []
    upstreams[0]!.server.on('request', () => atMs.push(performance.now()))
    handler.start()
    await eventually(() => atMs.length >= 8)
    const pauses = atMs.slice(1).map((ms, i) => Math.round(ms - atMs[i]!))
    expect(new Set(pauses).size).toBeGreaterThan(3)
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(15)
  })
})

describe('check', () => {
  it('tells what a probe comes to, without waiting for the next one', async () => {
    const { statuses, handler } = await probed(1)
    expect(await handler.check('t0')).toMatchObject({ healthy: true, status: 200 })
    statuses[0] = 500
    expect(await handler.check('t0')).toMatchObject({ healthy: false, fault: 'status 500' })
    expect(handler.targets[0]?.health).toBe('healthy')
    await handler.check('t0')
    expect(handler.targets[0]?.health).toBe('unhealthy')
  })

  it('rejects for an unknown id, and for a balancer without probes', async () => {
    const { handler } = await probed(1)
    await expect(handler.check('t1')).rejects.toMatchObject({ code: 'POSTERN_UNKNOWN_TARGET' })
    const without = balancer({ targets: [{ url: 'http://127.0.0.1:9', id: 'a' }] })
    await expect(without.check('a')).rejects.toMatchObject({ name: 'TypeError', code: 'POSTERN_NO_PROBES' })
  })

  it('still answers after close(), and changes nothing then', async () => {
    const { handler } = await probed(1)
    handler.close()
    expect(await handler.check('t0')).toMatchObject({ healthy: true })
    expect(handler.targets[0]).toMatchObject({ health: 'unknown', lastProbe: undefined })
  })
})

describe('what a target’s view shows of its health', () => {
  it('has no secret and no address in it', async () => {
    const handler = balancer({
      targets: [{ url: 'https://127.0.0.1:9', id: 'a', tls: { key: 'SECRET', cert: 'SECRET' } }],
      health: { ...FAST, headers: { authorization: 'SECRET' } },
    })
    await handler.check('a')
    expect(JSON.parse(JSON.stringify(handler.targets[0]))).toMatchObject({ lastProbe: { healthy: false } })
    expect(JSON.stringify(handler.targets)).not.toMatch(/SECRET|127\.0\.0\.1/)
    handler.close()
  })
})
