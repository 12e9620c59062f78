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
