import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, exchangeOf, isRefusal } from '@postern/contracts'
import { eventually } from '@postern/test-kit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type BalancerHandler,
  type BalancerOptions,
  balancer,
  type TargetList,
  targetsRefused,
} from '../../src/index.ts'
import { bareExchange, lease, OK, seeded } from '../support.ts'

const A = { url: 'http://target-0:80', id: 'a' }
const B = { url: 'http://target-1:80', id: 'b' }

const refused: unknown[] = []
const onRefused = ({ error }: { error: unknown }) => void refused.push(error)
const handlers: BalancerHandler[] = []
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  targetsRefused.subscribe(onRefused)
})
afterEach(() => {
  for (const handler of handlers.splice(0)) handler.close()
  expect(vi.getTimerCount()).toBe(0)
  targetsRefused.unsubscribe(onRefused)
  refused.length = 0
  vi.useRealTimers()
})

function fed(targets: BalancerOptions['targets'], options: Omit<BalancerOptions, 'targets'> = {}): BalancerHandler {
  const handler = balancer({ targets, random: () => 0.5, ...options })
  handlers.push(handler)
  return handler
}

const ids = (handler: BalancerHandler) => handler.targets.map(({ id }) => id).join('')
const tick = () => new Promise(setImmediate)

/** An async iterable that gives what is pushed, and says what became of it. */
function pushed() {
  const lists: (TargetList | Error)[] = []
  let wake = () => {}
  const state = { returned: false, push: (list: TargetList | Error) => void (lists.push(list), wake()) }
  const iterable: AsyncIterable<TargetList> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        while (lists.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
        const list = lists.shift()!
        if (list instanceof Error) throw list
        return { done: false, value: list }
      },
      async return() {
        state.returned = true
        return { done: true, value: undefined }
      },
    }),
  }
  return Object.assign(state, { iterable })
}

describe('targets from a function', () => {
  it('are there at once when it answers at once', () => {
    const handler = fed(() => [A, B])
    expect(ids(handler)).toBe('ab')
    expect(lease(handler).target.id).toMatch(/[ab]/)
  })

  it('are asked for again every refreshMs; those that stay keep their state', async () => {
    const lists = [[A], [A, B], [B]]
    const handler = fed(async () => lists.shift() ?? [B], { refreshMs: 1_000 })
    await tick()
    expect(ids(handler)).toBe('a')
    const target = handler.targets[0]
    lease(handler).settle(OK)
    await vi.advanceTimersByTimeAsync(999)
    expect(ids(handler)).toBe('a')
    await vi.advanceTimersByTimeAsync(1)
    expect(ids(handler)).toBe('ab')
    expect(handler.targets[0]).toBe(target)
    expect(target?.requests).toBe(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(ids(handler)).toBe('b')
  })

  it('are asked for at moments that differ between instances', () => {
    const pause = (seed: number) => {
      const timer = vi.spyOn(globalThis, 'setTimeout')
      fed(() => [A], { random: seeded(seed) })
      const ms = timer.mock.calls.at(-1)?.[1]
      timer.mockRestore()
      return ms!
    }
    const pauses = [1, 2, 3, 4].map(pause)
    expect(new Set(pauses).size).toBe(4)
    for (const ms of pauses) expect(Math.abs(ms - 10_000)).toBeLessThanOrEqual(2_000)
  })

  it.each([
    ['a list with a fault', () => [A, 'nonsense'], ConfigError],
    ['the same id twice', () => [A, A], ConfigError],
    ['no list', () => 'http://127.0.0.1:1' as never, ConfigError],
    ['nothing', () => undefined as never, ConfigError],
    [
      'an error',
      () => {
        throw new RangeError('down')
      },
      RangeError,
    ],
    ['a rejection', async () => Promise.reject(new RangeError('down')), RangeError],
  ])('stay as they are for %s, which is told', async (_, bad, kind) => {
    const sources: (() => TargetList | Promise<TargetList>)[] = [() => [A], bad, () => [B]]
    const handler = fed(() => sources.shift()!(), { refreshMs: 1_000 })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(ids(handler)).toBe('a')
    expect(refused).toEqual([expect.any(kind)])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(ids(handler)).toBe('b')
  })

  it('are given up on after refreshMs, and asked for again; what comes late is not taken', async () => {
    const answers: ((list: TargetList) => void)[] = []
    const signals: AbortSignal[] = []
    const handler = fed(
      ({ signal }) => {
        signals.push(signal)
        return new Promise((resolve) => answers.push(resolve))
      },
      { refreshMs: 1_000 },
    )
    await vi.advanceTimersByTimeAsync(1_000)
    expect(refused).toEqual([expect.objectContaining({ message: expect.stringContaining('refreshMs') })])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(answers).toHaveLength(2)
    answers[0]!([A])
    await tick()
    expect(ids(handler)).toBe('')
    answers[1]!([B])
    await tick()
    expect(ids(handler)).toBe('b')
  })

  it('are asked for no more after close(), which the function is told', async () => {
    const signals: AbortSignal[] = []
    const handler = fed(({ signal }) => {
      signals.push(signal)
      return new Promise<TargetList>(() => {})
    })
    handler.close()
    handler.close()
    expect(signals[0]?.aborted).toBe(true)
    await vi.advanceTimersByTimeAsync(100_000)
    expect(signals).toHaveLength(1)
    expect(refused).toEqual([])
  })
})

describe('targets from an async iterable', () => {
  it('are each list that comes, the good ones', async () => {
    const { iterable, push } = pushed()
    const handler = fed(iterable)
    push([A])
    await tick()
    expect(ids(handler)).toBe('a')
    push([{ url: 'nonsense' }])
    push([A, B])
    await tick()
    expect(ids(handler)).toBe('ab')
    expect(refused).toEqual([expect.any(ConfigError)])
  })

  it('stay when it ends, and when it fails, which is told', async () => {
    const handler = fed(
      (async function* () {
        yield [A]
      })(),
    )
    await tick()
    expect(ids(handler)).toBe('a')
    const failing = pushed()
    const other = fed(failing.iterable)
    failing.push([B])
    failing.push(new RangeError('gone'))
    await tick()
    expect(ids(other)).toBe('b')
    expect(refused).toEqual([expect.any(RangeError)])
  })

  it('end with close(): the iterator is told, and what it still gives is not taken', async () => {
    const source = pushed()
    const handler = fed(source.iterable)
    await tick()
    handler.close()
    await tick()
    expect(source.returned).toBe(true)
    source.push([A])
    await tick()
    expect(ids(handler)).toBe('')
  })

  it('may fail to end without anybody being hurt', async () => {
    const handler = fed({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => {
          throw new Error('no')
        },
      }),
    })
    await tick()
    handler.close()
    await tick()
  })
})

describe('requests before the first list', () => {
  function request(handler: BalancerHandler, exchange = bareExchange()) {
    const state = { went: false, exchange }
    exchange.request.gateway = exchange
    handler(exchange.request, exchange.response, () => {
      state.went = true
    })
    return state
  }

  it('wait for it, and then have a target', async () => {
    let answer: (list: TargetList) => void
    const handler = fed(() => new Promise((resolve) => (answer = resolve)))
    const held = [request(handler), request(handler)]
    await tick()
    expect(held.map(({ went }) => went)).toEqual([false, false])
    answer!([A])
    await tick()
    expect(held.map(({ went }) => went)).toEqual([true, true])
    expect(held[0]!.exchange.selection?.acquire()).toMatchObject({ target: { id: 'a' } })
    expect(request(handler).went).toBe(true)
  })

  it('wait no longer than firstTargetsMs, and later ones not at all', async () => {
    const handler = fed(() => new Promise(() => {}), { firstTargetsMs: 3_000 })
    const held = request(handler)
    await vi.advanceTimersByTimeAsync(2_999)
    expect(held.went).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(held.went).toBe(true)
    expect(held.exchange.selection?.acquire()).toEqual({ reason: 'no_targets' })
    expect(request(handler).went).toBe(true)
  })

  it('go on for replace() by hand, and for close()', async () => {
    const [one, other] = [fed(() => new Promise(() => {})), fed(() => new Promise(() => {}))]
    const held = [request(one), request(other)]
    expect(() => one.replace(['nonsense'])).toThrow(ConfigError)
    await tick()
    expect(held[0]?.went).toBe(false)
    one.replace([A])
    other.close()
    await tick()
    expect(held.map(({ went }) => went)).toEqual([true, true])
  })

  it('are forgotten when the client leaves', async () => {
    let answer: (list: TargetList) => void
    const handler = fed(() => new Promise((resolve) => (answer = resolve)))
    const held = request(handler)
    held.exchange.close()
    answer!([A])
    await tick()
    expect(held.went).toBe(false)
  })

  it('wait no longer than their deadline', async () => {
    const handler = fed(() => new Promise(() => {}))
    const limit = new AbortController()
    const exchange = bareExchange()
    exchange.deadline = { atMs: 0, signal: limit.signal, remainingMs: () => 0 }
    const held = request(handler, exchange)
    await tick()
    expect(held.went).toBe(false)
    limit.abort()
    await tick()
    expect(held.went).toBe(true)
    const late = request(handler, exchange)
    await tick()
    expect(late.went).toBe(true)
  })

  it('keep their own asynchronous context', async () => {
    const storage = new AsyncLocalStorage<string>()
    let answer: (list: TargetList) => void
    const handler = fed(() => new Promise((resolve) => (answer = resolve)))
    const { request, response } = bareExchange()
    const seen = storage.run(
      'mine',
      () => new Promise((resolve) => handler(request, response, () => resolve(storage.getStore()))),
    )
    answer!([A])
    expect(await seen).toBe('mine')
  })
})

describe('a real client that leaves before the first list', () => {
  it('costs nothing when the list comes', async () => {
    vi.useRealTimers()
    let answer: (list: TargetList) => void
    const pool = balancer({ targets: () => new Promise((resolve) => (answer = resolve)) })
    let went = 0
    let arrived = 0
    const server: Server = createServer((req, res) => {
      arrived++
      pool(req, res, () => {
        went++
        const result = exchangeOf(req, res).selection!.acquire()
        res.end(isRefusal(result) ? result.reason : result.target.id)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const leaving = new AbortController()
    const left = fetch(url, { signal: leaving.signal }).catch((error) => error.name)
    await eventually(() => arrived === 1)
    leaving.abort()
    expect(await left).toBe('AbortError')
    const stays = fetch(url)
    await eventually(() => arrived === 2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    answer!([A])
    expect(await (await stays).text()).toBe('a')
    expect(went).toBe(1)
    pool.close()
    server.closeAllConnections()
    server.close()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
})
