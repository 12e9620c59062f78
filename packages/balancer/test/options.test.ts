import { ConfigError, type ConfigFault, systemClock } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type BalancerOptions, balancer } from '../src/index.ts'
import { resolveOptions } from '../src/options.ts'
import { PowerOfTwoChoices } from '../src/strategies/power-of-two-choices.ts'

function faultsOf(input: unknown): readonly ConfigFault[] {
  try {
    resolveOptions(input as BalancerOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

const URL_A = 'http://127.0.0.1:3001'
const URL_B = 'http://127.0.0.1:3002'

describe('balancer options', () => {
  it('fills the defaults and freezes the result', () => {
    const options = resolveOptions({ targets: [URL_A] })
    expect(options).toMatchObject({ name: 'balancer', clock: systemClock, random: Math.random })
    expect(options.createStrategy()).toBeInstanceOf(PowerOfTwoChoices)
    expect(Object.isFrozen(options)).toBe(true)
  })

  it('leaves the object it was given alone', () => {
    const input = Object.freeze({ targets: Object.freeze([Object.freeze({ url: URL_A })]) })
    expect(resolveOptions(input).targets).toHaveLength(1)
    expect(input).toEqual({ targets: [{ url: URL_A }] })
  })

  it('takes targets as text, as URL and with options', () => {
    const { targets } = resolveOptions({
      targets: [URL_A, new URL(URL_B), { url: 'unix:/run/app.sock', id: 'c', weight: 3, tags: { zone: 'x' } }],
    })
    expect(targets.map(({ id, weight }) => [id, weight])).toEqual([
      [URL_A, 1],
      [URL_B, 1],
      ['c', 3],
    ])
  })

  it('takes TLS options with PEM as text, Buffer or list', () => {
    const tls = {
      ca: ['a', Buffer.from('b')],
      cert: 'c',
      key: Buffer.from('d'),
      servername: 'x',
      rejectUnauthorized: true,
    }
    expect(resolveOptions({ targets: [{ url: 'https://a.test', tls }] }).targets[0]?.tls).toEqual(tls)
  })

  it('takes an empty list, to be filled later', () => {
    expect(resolveOptions({ targets: [] }).targets).toEqual([])
  })

  it('refuses the same id twice and names both', () => {
    expect(faultsOf({ targets: [URL_A, URL_B, { url: URL_B, id: URL_A }] })).toEqual([
      expect.objectContaining({ path: 'targets[2]', message: 'has the same id as targets[0]', received: URL_A }),
    ])
  })

  it('tells of all faults at once', () => {
    const faults = faultsOf({
      targets: ['nonsense', { url: URL_A, weight: -1 }, { url: URL_B, wieght: 2 }, 7],
      strategy: 'round-robbin',
      name: '',
      nmae: 'x',
    })
    expect(faults.map(({ path }) => path).sort()).toEqual([
      'name',
      'nmae',
      'strategy',
      'targets[0]',
      'targets[1].weight',
      'targets[2].wieght',
      'targets[3]',
    ])
    const cures = Object.fromEntries(faults.map(({ path, cure }) => [path, cure]))
    expect(cures.strategy).toBe('did you mean "round-robin"?')
    expect(cures.nmae).toBe('did you mean "name"?')
    expect(cures['targets[2].wieght']).toBe('did you mean "weight"?')
  })

  it('names a missing URL and a wrong key of tls by their paths', () => {
    const faults = faultsOf({ targets: [{ id: 'a' }, { url: URL_A, tls: { sevrername: 'x' } }] })
    expect(faults).toEqual([
      expect.objectContaining({ path: 'targets[0].url', message: 'missing' }),
      expect.objectContaining({ path: 'targets[1].tls.sevrername', cure: 'did you mean "servername"?' }),
    ])
  })

  it.each([
    ['a list', [URL_A]],
    ['text', URL_A],
    ['nothing', undefined],
  ])('refuses %s in place of options, with the cure', (_, input) => {
    expect(faultsOf(input)).toEqual([expect.objectContaining({ path: '', cure: 'write balancer({ targets: […] })' })])
  })

  it('refuses options without targets, and targets that are no list', () => {
    expect(faultsOf({})).toEqual([expect.objectContaining({ path: 'targets', message: 'missing' })])
    expect(faultsOf({ targets: URL_A })).toEqual([expect.objectContaining({ path: 'targets', message: 'not a list' })])
  })

  it.each([
    ['a number', 7, 'strategy'],
    ['an object without name or choose()', {}, 'strategy'],
    ['an unknown name in an object', { name: 'fastest' }, 'strategy.name'],
    ['a key that the strategy does not have', { name: 'random', bias: 1 }, 'strategy.bias'],
    ['a bias out of range', { name: 'least-requests', bias: -1 }, 'strategy.bias'],
    ['a choose that is no function', { choose: 'a' }, 'strategy.choose'],
    ['a settled that is no function', { choose: () => undefined, settled: 1 }, 'strategy.settled'],
    ['a name from Object.prototype', 'constructor', 'strategy'],
  ])('refuses %s as strategy', (_, strategy, path) => {
    expect(faultsOf({ targets: [URL_A], strategy }).map((fault) => fault.path)).toEqual([path])
  })

  it('refuses a clock and a random source that cannot work', () => {
    const faults = faultsOf({ targets: [], clock: { now: 1 }, random: 0.5 })
    expect(faults.map(({ path }) => path)).toEqual(['clock', 'random'])
  })

  it('throws when the balancer is made, not at the first request', () => {
    expect(() => balancer({ targets: ['nonsense'] })).toThrow(ConfigError)
  })
})

describe('options of health and of sources', () => {
  it('have their defaults', () => {
    expect(resolveOptions({ targets: [] })).toMatchObject({
      source: undefined,
      refreshMs: 10_000,
      firstTargetsMs: 5_000,
      health: undefined,
      panicThreshold: 0.5,
      slowStart: undefined,
      outliers: {
        connectFailure: { baseMs: 100, maxMs: 1_000 },
        consecutiveFailures: 5,
        successRate: { stdevFactor: 1.9, minTargets: 5, minRequests: 100, intervalMs: 10_000 },
        decayMs: 10_000,
        baseMs: 30_000,
        maxMs: 300_000,
        maxShare: 0.1,
      },
    })
  })

  it('may be written short', () => {
    const { health, slowStart } = resolveOptions({ targets: [], health: '/healthz', slowStart: 10_000 })
    expect(health).toEqual({
      path: '/healthz',
      method: 'GET',
      headers: {},
      host: undefined,
      port: undefined,
      expectStatus: [[200, 299]],
      expectBody: undefined,
      intervalMs: 5_000,
      unhealthyIntervalMs: 1_000,
      jitter: 0.2,
      timeoutMs: 2_000,
      unhealthyAfter: 2,
      healthyAfter: 1,
    })
    expect(slowStart).toEqual({ windowMs: 10_000, aggression: 1, minShare: 0.1 })
    expect(resolveOptions({ targets: [], health: { path: '/', intervalMs: 200 } }).health?.unhealthyIntervalMs).toBe(
      200,
    )
  })

  it('can each be switched off', () => {
    expect(resolveOptions({ targets: [], outliers: false }).outliers).toBeUndefined()
    const off = { connectFailure: false, consecutiveFailures: false, successRate: false } as const
    expect(resolveOptions({ targets: [], outliers: off }).outliers).toMatchObject({
      connectFailure: undefined,
      consecutiveFailures: Number.POSITIVE_INFINITY,
      successRate: undefined,
      decayMs: 10_000,
    })
  })

  it('take a function or an async iterable in place of targets', () => {
    const source = () => [URL_A]
    expect(resolveOptions({ targets: source })).toMatchObject({ source, targets: [] })
    const iterable = (async function* () {
      yield [URL_A]
    })()
    expect(resolveOptions({ targets: iterable })).toMatchObject({ source: iterable, targets: [] })
  })

  it.each([
    [{ health: 7 }, 'health'],
    [{ health: 'healthz' }, 'health.path'],
    [{ health: {} }, 'health.path'],
    [{ health: { path: '/a b' } }, 'health.path'],
    [{ health: { path: '/', method: 'POST' } }, 'health.method'],
    [{ health: { path: '/', headers: { host: 'x' } } }, 'health.headers.host'],
    [{ health: { path: '/', headers: { 'Content-Length': '1' } } }, 'health.headers.Content-Length'],
    [{ health: { path: '/', headers: { 'a b': 'x' } } }, 'health.headers.a b'],
    [{ health: { path: '/', headers: { a: 'x\r\ny: z' } } }, 'health.headers.a'],
    [{ health: { path: '/', host: 'a/b' } }, 'health.host'],
    [{ health: { path: '/', port: 0 } }, 'health.port'],
    [{ health: { path: '/', expectStatus: 200 } }, 'health.expectStatus'],
    [{ health: { path: '/', expectStatus: [] } }, 'health.expectStatus'],
    [{ health: { path: '/', expectStatus: [100] } }, 'health.expectStatus[0]'],
    [{ health: { path: '/', expectStatus: [[300, 200]] } }, 'health.expectStatus[0]'],
    [{ health: { path: '/', expectBody: '' } }, 'health.expectBody'],
    [{ health: { path: '/', method: 'HEAD', expectBody: 'ok' } }, 'health.expectBody'],
    [{ health: { path: '/', intervalMs: 0 } }, 'health.intervalMs'],
    [{ health: { path: '/', unhealthyIntervalMs: 0.5 } }, 'health.unhealthyIntervalMs'],
    [{ health: { path: '/', jitter: 2 } }, 'health.jitter'],
    [{ health: { path: '/', timeoutMs: 2 ** 31 } }, 'health.timeoutMs'],
    [{ health: { path: '/', unhealthyAfter: 0 } }, 'health.unhealthyAfter'],
    [{ health: { path: '/', healthyAfter: 1.5 } }, 'health.healthyAfter'],
    [{ outliers: true }, 'outliers'],
    [{ outliers: null }, 'outliers'],
    [{ outliers: { consecutiveFailures: 0 } }, 'outliers.consecutiveFailures'],
    [{ outliers: { connectFailure: { baseMs: 2_000 } } }, 'outliers.connectFailure.maxMs'],
    [{ outliers: { successRate: { minTargets: 1 } } }, 'outliers.successRate.minTargets'],
    [{ outliers: { successRate: { stdevFactor: -1 } } }, 'outliers.successRate.stdevFactor'],
    [{ outliers: { maxShare: 0 } }, 'outliers.maxShare'],
    [{ outliers: { maxShare: Number.NaN } }, 'outliers.maxShare'],
    [{ outliers: { baseMs: 400_000 } }, 'outliers.maxMs'],
    [{ panicThreshold: 1.1 }, 'panicThreshold'],
    [{ panicThreshold: '50%' }, 'panicThreshold'],
    [{ slowStart: 0 }, 'slowStart.windowMs'],
    [{ slowStart: 'fast' }, 'slowStart'],
    [{ slowStart: {} }, 'slowStart.windowMs'],
    [{ slowStart: { windowMs: 1, aggression: 0 } }, 'slowStart.aggression'],
    [{ slowStart: { windowMs: 1, minShare: 0 } }, 'slowStart.minShare'],
    [{ refreshMs: 0 }, 'refreshMs'],
    [{ firstTargetsMs: -1 }, 'firstTargetsMs'],
  ])('are refused by their path: %j', (given, path) => {
    expect(faultsOf({ targets: [URL_A], ...given }).map((fault) => fault.path)).toEqual([path])
  })

  it('tell the nearest name of one that is not known', () => {
    const faults = faultsOf({
      targets: [],
      health: { path: '/', interval: 1 },
      outliers: { consecutiveFailure: 1, successRate: { minRequest: 1 } },
    })
    expect(faults.map(({ path, cure }) => [path, cure])).toEqual([
      ['health.interval', 'did you mean "intervalMs"?'],
      ['outliers.successRate.minRequest', 'did you mean "minRequests"?'],
      ['outliers.consecutiveFailure', 'did you mean "consecutiveFailures"?'],
    ])
  })
})
