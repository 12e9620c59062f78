import type { IncomingMessage, ServerResponse } from 'node:http'
import { rawRequest, request, type Served, serve } from '@postern/test-kit'
import { afterEach, describe, expect, test } from 'vitest'
import { type Exchange, exchangeFinished, exchangeOf } from '../src/index.ts'

let served: Served | undefined
afterEach(async () => {
  await served?.close()
})

/** Serves one handler and hands its exchange out. */
async function run(
  handler: (exchange: Exchange, req: IncomingMessage, res: ServerResponse) => void,
  send: (url: string, port: number) => Promise<unknown> = (url) => request(url),
): Promise<Exchange> {
  let exchange: Exchange | undefined
  served = await serve((req, res) => {
    exchange = exchangeOf(req, res)
    handler(exchange, req, res)
  })
  await send(served.url, served.port)
  return exchange!
}
const end = (_exchange: Exchange, _req: IncomingMessage, res: ServerResponse) => void res.end('ok')
const withId =
  (...ids: string[]) =>
  (url: string) =>
    request(url, { headers: ['Host', 'x', ...ids.flatMap((id) => ['X-Request-Id', id])] })

describe('the id', () => {
  test.each(['a', 'A-Z.a_z~0:9@+/=-', '7f9c2ba4-e88f-4f27-8a3b-2a0c5f0e4d11', 'x'.repeat(128)])(
    'that the client sent is accepted: %s',
    async (id) => {
      expect((await run(end, withId(id))).id).toBe(id)
    },
  )

  test.each([
    ['of 129 characters', 'x'.repeat(129)],
    ['with a space', 'a b'],
    ['with a quote', 'a"b'],
    ['with a line break encoded', 'a%0d%0ab'],
    ['with a byte beyond ASCII', 'caf\xe9'],
    ['that is empty', ''],
  ])('%s is replaced by a UUID', async (_name, id) => {
    const exchange = await run(end, withId(id))
    expect(exchange.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(exchange.id).toBe(exchange.id)
  })

  test('is the first of several, and a bad first one is not mended by a good second one', async () => {
    expect((await run(end, withId('one', 'two'))).id).toBe('one')
    await served!.close()
    expect((await run(end, withId('o n e', 'two'))).id).not.toBe('two')
  })

  test('may be set by hand within the same characters', async () => {
    const exchange = await run(end)
    exchange.id = 'order-7'
    expect(exchange.id).toBe('order-7')
    expect(() => {
      exchange.id = 'two\r\nlines'
    }).toThrow(TypeError)
    expect(exchange.id).toBe('order-7')
  })
})

describe('the exchange of a request', () => {
  test('is one object, however often it is asked for', async () => {
    const exchange = await run((first, req, res) => {
      expect(exchangeOf(req, res)).toBe(first)
      expect(req.gateway).toBe(first)
      res.end()
    })
    expect(exchange.attempts).toEqual([])
    expect(exchange.failure).toBeUndefined()
  })

  test('is another for the next request on the same connection', async () => {
    const seen = new Set<Exchange>()
    served = await serve((req, res) => {
      seen.add(exchangeOf(req, res))
      res.end()
    })
    const get = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    await rawRequest(served.port, get + get, { responses: 2 })
    expect(seen.size).toBe(2)
  })

  test('adds no listener to the response while nobody observes it', async () => {
    await run((_exchange, _req, res) => {
      expect(res.listenerCount('close')).toBe(0)
      res.end()
    })
  })
})

describe('observers', () => {
  test('are told from the last to the first, once each, through one listener', async () => {
    const told: string[] = []
    const exchange = await run((it, _req, res) => {
      const before = res.listenerCount('close')
      for (const name of ['a', 'b', 'c', 'd']) it.observe({ onExchangeClosed: () => told.push(name) })
      expect(res.listenerCount('close')).toBe(before + 1)
      res.end()
    })
    await expect.poll(() => told).toEqual(['d', 'c', 'b', 'a'])
    exchange.close()
    expect(told).toEqual(['d', 'c', 'b', 'a'])
  })

  test('are told when the client leaves before the answer', async () => {
    const told: Exchange[] = []
    const abort = new AbortController()
    const exchange = await run(
      (it) => {
        it.observe({ onExchangeClosed: (closed) => told.push(closed) })
        abort.abort()
      },
      (url) => request(url, { signal: abort.signal }).catch(() => {}),
    )
    await expect.poll(() => told).toEqual([exchange])
    expect(exchange.closed).toBe(true)
  })

  test('that come after the end are told at once', async () => {
    const exchange = await run(end)
    exchange.close()
    let told = 0
    exchange.observe({ onExchangeClosed: () => told++ })
    expect(told).toBe(1)
  })

  test('that come when the response is gone but nobody was listening are still told', async () => {
    let response: ServerResponse | undefined
    const exchange = await run((_it, _req, res) => {
      response = res
      res.end()
    })
    await expect.poll(() => response!.closed).toBe(true)
    expect(exchange.closed).toBe(false)
    let told = 0
    exchange.observe({ onExchangeClosed: () => told++ })
    await expect.poll(() => told).toBe(1)
  })

  test('may add observers while they are told', async () => {
    const told: string[] = []
    await run((it, _req, res) => {
      it.observe({
        onExchangeClosed: () => {
          told.push('outer')
          it.observe({ onExchangeClosed: () => told.push('inner') })
        },
      })
      it.observe({ onExchangeClosed: () => told.push('next') })
      res.end()
    })
    await expect.poll(() => told).toEqual(['next', 'outer', 'inner'])
  })

  // A lease is given back and a gauge goes down in an observer: one that throws must not keep the others from it, and
  // the response's `close` event is no place where an exception has anywhere to go but the end of the process.
  test('that throw keep neither the others nor the channel from the news', async () => {
    const told: string[] = []
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    const onFinished = () => told.push('channel')
    process.on('warning', onWarning)
    exchangeFinished.subscribe(onFinished)
    try {
      await run((it, _req, res) => {
        it.observe({
          onExchangeClosed: () => {
            throw new Error('first observer broke')
          },
        })
        it.observe({ onExchangeClosed: () => told.push('second') })
        res.end()
      })
      await expect.poll(() => told).toEqual(['second', 'channel'])
      await expect
        .poll(() => warnings.map((warning) => (warning as NodeJS.ErrnoException).code))
        .toEqual(['POSTERN_OBSERVER_THREW'])
    } finally {
      process.off('warning', onWarning)
      exchangeFinished.unsubscribe(onFinished)
    }
  })
})

describe('closing by hand', () => {
  test('tells the observers at once, and the response later changes nothing', async () => {
    let told = 0
    const exchange = await run((it, _req, res) => {
      it.observe({ onExchangeClosed: () => told++ })
      it.close()
      expect(told).toBe(1)
      it.close()
      res.end()
    })
    expect(exchange.closed).toBe(true)
    expect(told).toBe(1)
  })
})

describe('postern:exchange:finished', () => {
  test('is published once for each exchange, also one that nobody observes', async () => {
    const finished: Exchange[] = []
    const listener = (exchange: Exchange) => finished.push(exchange)
    exchangeFinished.subscribe(listener)
    try {
      const exchange = await run(end)
      await expect.poll(() => finished).toEqual([exchange])
      exchange.close()
      expect(finished).toEqual([exchange])
    } finally {
      exchangeFinished.unsubscribe(listener)
    }
  })
})
