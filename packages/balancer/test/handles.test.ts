import { ConfigError } from '@postern/contracts'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { balancer, type TargetChange, targetChanged } from '../src/index.ts'
import { balancerOf, lease, OK, selectionOf } from './support.ts'

const listeners: ((change: TargetChange) => void)[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const listener of listeners.splice(0)) targetChanged.unsubscribe(listener)
})

/** Collects `change:id` of all changes from here on. */
function changes(): string[] {
  const seen: string[] = []
  const listener = ({ change, target }: TargetChange) => void seen.push(`${change}:${target.id}`)
  listeners.push(listener)
  targetChanged.subscribe(listener)
  return seen
}

describe('targets', () => {
  it('shows each target as it is at the moment of reading', () => {
    const handler = balancerOf([2, 0])
    const [a, b] = handler.targets
    expect(JSON.parse(JSON.stringify(a))).toEqual({
      id: 'a',
      inFlight: 0,
      requests: 0,
      failures: 0,
      weight: 2,
      effectiveWeight: 2,
      tier: 0,
      state: 'active',
      eligible: true,
      health: 'unknown',
      unreachable: false,
      ejectedForMs: 0,
      consecutiveFailures: 0,
    })
    expect(b).toMatchObject({ weight: 0, state: 'active', eligible: false })
    lease(handler)
    expect(a?.inFlight).toBe(1)
    expect(a?.target.origin).toBe('http://target-0')
  })

  it('cannot be written', () => {
    const handler = balancerOf([1])
    expect(() => Object.assign(handler.targets[0]!, { inFlight: 5 })).toThrow(TypeError)
    expect(() => (handler.targets as unknown[]).push(1)).toThrow(TypeError)
  })
})

describe('drain', () => {
  it('sends the target nothing new and resolves when nothing is in flight', async () => {
    const handler = balancerOf([1, 1], { strategy: 'round-robin' })
    const [first, second] = [lease(handler), lease(handler), lease(handler)].filter((one) => one.target.id === 'a')
    let drained: boolean | undefined
    const done = handler.drain('a').then((result) => {
      drained = result
    })
    expect(handler.targets[0]).toMatchObject({ state: 'draining', eligible: false, effectiveWeight: 0, inFlight: 2 })
    for (let i = 0; i < 10; i++) expect(lease(handler).target.id).toBe('b')
    first?.settle(OK)
    await new Promise(setImmediate)
    expect(drained).toBeUndefined()
    second?.settle(OK)
    await done
    expect(drained).toBe(true)
    expect(handler.targets[0]?.state).toBe('drained')
  })

  it('resolves at once for an idle target, and for one that is drained already', async () => {
    const handler = balancerOf([1, 1])
    expect(await handler.drain('a')).toBe(true)
    expect(await handler.drain('a', { timeoutMs: 0 })).toBe(true)
  })

  it('gives up waiting after timeoutMs and goes on draining', async () => {
    vi.useFakeTimers()
    const handler = balancerOf([1])
    const one = lease(handler)
    const drained = handler.drain('a', { timeoutMs: 5_000 })
    await vi.advanceTimersByTimeAsync(4_999)
    const still = await Promise.race([drained, Promise.resolve('waiting')])
    expect(still).toBe('waiting')
    await vi.advanceTimersByTimeAsync(1)
    expect(await drained).toBe(false)
    expect(handler.targets[0]?.state).toBe('draining')
    expect(vi.getTimerCount()).toBe(0)
    one.settle(OK)
    expect(handler.targets[0]?.state).toBe('drained')
  })

  it('leaves no timer behind when the target is drained in time', async () => {
    vi.useFakeTimers()
    const handler = balancerOf([1])
    const one = lease(handler)
    const drained = handler.drain('a', { timeoutMs: 5_000 })
    one.settle(OK)
    expect(await drained).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is taken back by undrain: who waited hears false, the target serves again', async () => {
    const handler = balancerOf([1])
    lease(handler)
    const drained = handler.drain('a')
    expect(selectionOf(handler).acquire()).toEqual({ reason: 'no_targets' })
    handler.undrain('a')
    expect(await drained).toBe(false)
    expect(lease(handler).target.id).toBe('a')
  })

  it('is waited for no longer after close, whether the target is still in the list or not', async () => {
    const handler = balancerOf([1, 1], { strategy: 'round-robin' })
    const open = [lease(handler), lease(handler)]
    const waits = [handler.drain('a'), handler.drain('b')]
    handler.replace([{ url: 'http://target-1:80', id: 'b' }])
    handler.close()
    handler.close()
    expect(await Promise.all(waits)).toEqual([false, false])
    for (const one of open) one.settle(OK)
    expect(handler.targets[0]?.state).toBe('drained')
  })

  it('refuses an unknown id with the nearest one', async () => {
    const handler = balancer({ targets: [{ url: 'http://127.0.0.1:1', id: 'products-1' }], name: 'products' })
    const expected = { code: 'POSTERN_UNKNOWN_TARGET', message: expect.stringContaining('did you mean "products-1"?') }
    await expect(handler.drain('product-1')).rejects.toMatchObject(expected)
    expect(() => handler.undrain('product-1')).toThrow(expect.objectContaining(expected))
    expect(() => handler.setWeight('product-1', 1)).toThrow(expect.objectContaining(expected))
    expect(() => handler.undrain('something else')).toThrow('the targets are: products-1')
  })

  it.each([-1, Number.NaN, 2 ** 31, '5'])('refuses a timeout of %s', async (timeoutMs) => {
    const handler = balancerOf([1])
    await expect(handler.drain('a', { timeoutMs: timeoutMs as number })).rejects.toThrow(RangeError)
    expect(handler.targets[0]?.state).toBe('active')
  })
})

describe('setWeight', () => {
  it('changes the shares from the next choice on', () => {
    const handler = balancerOf([1, 1], { strategy: 'round-robin' })
    handler.setWeight('a', 3)
    for (let i = 0; i < 400; i++) lease(handler).settle(OK)
    expect(handler.targets.map((target) => target.requests)).toEqual([300, 100])
  })

  it('with 0 takes a target out, and with more brings it back', () => {
    const handler = balancerOf([1])
    handler.setWeight('a', 0)
    expect(selectionOf(handler).acquire()).toEqual({ reason: 'no_targets' })
    handler.setWeight('a', 0.5)
    expect(lease(handler).target.id).toBe('a')
  })

  it.each([-1, Number.NaN, 1_000_001, '5'])('refuses a weight of %s', (weight) => {
    expect(() => balancerOf([1]).setWeight('a', weight as number)).toThrow(RangeError)
  })
})

describe('replace', () => {
  const a = { url: 'http://127.0.0.1:3001', id: 'a' }
  const b = { url: 'http://127.0.0.1:3002', id: 'b' }

  it('keeps target and state of those that stay, also when their weight changes', () => {
    const handler = balancer({ targets: [a, b] })
    const one = lease(handler, (target) => target.id === 'a')
    const before = handler.targets[0]
    const target = before?.target
    handler.replace([{ ...a, weight: 5 }, b])
    expect(handler.targets[0]).toBe(before)
    expect(before?.target).toBe(target)
    expect(before).toMatchObject({ weight: 5, effectiveWeight: 5, inFlight: 1, requests: 1 })
    one.settle(OK)
    expect(before?.inFlight).toBe(0)
  })

  it('lets those that leave finish what is in flight, and leases them no more', () => {
    const handler = balancer({ targets: [a, b] })
    const one = lease(handler, (target) => target.id === 'a')
    const removed = handler.targets[0]!
    handler.replace([b])
    expect(handler.targets.map(({ id }) => id)).toEqual(['b'])
    expect(removed).toMatchObject({ state: 'draining', eligible: false, inFlight: 1 })
    for (let i = 0; i < 10; i++) expect(lease(handler).target.id).toBe('b')
    one.settle(OK)
    expect(removed).toMatchObject({ state: 'drained', inFlight: 0 })
  })

  it.each([
    ['its address', { ...a, url: 'http://127.0.0.1:3009' }],
    ['its base path', { ...a, url: 'http://127.0.0.1:3001/v2' }],
    ['its socket', { ...a, socketPath: '/run/a.sock' }],
    ['its TLS', { ...a, tls: { ca: Buffer.from('x') } }],
    ['its tags', { ...a, tags: { zone: 'x' } }],
  ])('makes another target of one that changes %s under the same id', (_, changed) => {
    const handler = balancer({ targets: [a] })
    const one = lease(handler)
    handler.replace([changed])
    expect(handler.targets[0]?.target).not.toBe(one.target)
    expect(handler.targets[0]).toMatchObject({ inFlight: 0, requests: 0 })
    one.settle(OK)
    expect(handler.targets[0]?.inFlight).toBe(0)
  })

  it('keeps a target whose TLS options and tags are equal but newly written', () => {
    const written = () => ({ ...a, tls: { ca: [Buffer.from('x')] }, tags: { zone: 'x' } })
    const handler = balancer({ targets: [written()] })
    const target = handler.targets[0]?.target
    handler.replace([written()])
    expect(handler.targets[0]?.target).toBe(target)
  })

  it('keeps a drain', async () => {
    const handler = balancer({ targets: [a, b] })
    await handler.drain('a')
    handler.replace([b, a])
    expect(handler.targets.map(({ id, state }) => [id, state])).toEqual([
      ['b', 'active'],
      ['a', 'drained'],
    ])
  })

  it('changes nothing when one target is wrong', () => {
    const handler = balancer({ targets: [a, b] })
    const before = handler.targets
    expect(() => handler.replace([{ ...a, weight: 7 }, 'nonsense', a])).toThrow(ConfigError)
    expect(handler.targets).toBe(before)
    expect(handler.targets[0]?.weight).toBe(1)
  })

  it('fills a balancer that began empty, for selections made before, too', () => {
    const handler = balancer({ targets: [] })
    const selection = selectionOf(handler)
    expect(selection.acquire()).toEqual({ reason: 'no_targets' })
    handler.replace([a])
    expect(selection.acquire()).toMatchObject({ target: { id: 'a' } })
  })

  it('resolves a drain of a target that was removed meanwhile', async () => {
    const handler = balancer({ targets: [a] })
    const one = lease(handler)
    const drained = handler.drain('a')
    handler.replace([b])
    one.settle(OK)
    expect(await drained).toBe(true)
  })
})

describe('postern:target:changed', () => {
  it('tells what happens to each target', async () => {
    const seen = changes()
    const handler = balancerOf([1, 1], { strategy: 'round-robin' })
    const open = [lease(handler), lease(handler)]
    void handler.drain('a')
    handler.undrain('a')
    void handler.drain('a')
    open[0]?.settle(OK)
    handler.setWeight('b', 2)
    handler.replace([])
    open[1]?.settle(OK)
    expect(seen).toEqual([
      'added:a',
      'added:b',
      'draining:a',
      'undrained:a',
      'draining:a',
      'drained:a',
      'weight:b',
      'removed:a',
      'removed:b',
      'drained:b',
    ])
  })

  it('is silent about what changes nothing', async () => {
    const handler = balancerOf([1])
    await handler.drain('a')
    const seen = changes()
    await handler.drain('a')
    handler.setWeight('a', 1)
    handler.replace([{ url: 'http://target-0:80', id: 'a' }])
    handler.undrain('a')
    handler.undrain('a')
    expect(seen).toEqual(['undrained:a'])
  })

  it('names the balancer and the weight that holds now', () => {
    const handler = balancerOf([1], { name: 'products' })
    const seen: TargetChange[] = []
    const listener = (change: TargetChange) => void seen.push(change)
    listeners.push(listener)
    targetChanged.subscribe(listener)
    handler.setWeight('a', 7)
    expect(seen).toEqual([{ balancer: 'products', target: handler.targets[0]?.target, change: 'weight', weight: 7 }])
  })

  it('comes after the change, so that a listener may call back in', () => {
    const handler = balancerOf([1, 1])
    const listener = ({ change, target }: TargetChange) => {
      if (change === 'draining') handler.undrain(target.id)
    }
    listeners.push(listener)
    targetChanged.subscribe(listener)
    void handler.drain('a')
    expect(handler.targets[0]?.state).toBe('active')
  })
})
