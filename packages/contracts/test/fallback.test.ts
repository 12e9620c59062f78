import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { exchangeOf, type FallbackHandler, failExchange, GatewayError, offerFallback } from '../src/index.ts'

const FAILED = { status: 503, title: 'Failed', detail: 'It failed.' }
const error = (status = 503, code = 'failed'): GatewayError => new GatewayError(code, { ...FAILED, status })

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

/** What a client sees of an exchange that a handler fails. */
async function seen(fail: (req: IncomingMessage, res: ServerResponse) => void): Promise<[number, string]> {
  const server = createServer(fail).listen(0, '127.0.0.1')
  open.push(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const reply = await fetch(`http://127.0.0.1:${port}/`)
  return [reply.status, await reply.text()]
}

const saying =
  (text: string): FallbackHandler =>
  (_req, res) =>
    void res.end(text)
const any = () => true

/** Fails the exchange behind these fallbacks, the first of which was offered first. */
function failing(...handlers: FallbackHandler[]) {
  return (req: IncomingMessage, res: ServerResponse): void => {
    for (const handler of handlers) {
      offerFallback(exchangeOf(req, res), { handler, accepts: any, errors: 'respond' })
    }
    failExchange(req, res, error(), 'respond')
  }
}

describe('a fallback', () => {
  test('answers in place of the error', async () => {
    expect(await seen(failing(saying('sorry')))).toEqual([200, 'sorry'])
  })

  test('may take its time', async () => {
    const slow: FallbackHandler = async (_req, res) => {
      await new Promise((resolve) => setTimeout(resolve, 10))
      res.end('sorry')
    }
    expect(await seen(failing(slow))).toEqual([200, 'sorry'])
  })

  test('that was offered last is asked first; next() leaves it to the one before', async () => {
    expect(await seen(failing(saying('first'), saying('last')))).toEqual([200, 'last'])
    expect(await seen(failing(saying('first'), (_req, _res, next) => next()))).toEqual([200, 'first'])
  })

  test.each<[string, FallbackHandler]>([
    ['calls next()', (_req, _res, next) => next()],
    ['calls next(error)', (_req, _res, next) => next(new Error('no idea'))],
    [
      'throws',
      () => {
        throw new Error('no idea')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no idea'))],
  ])('that %s leaves the error as it was', async (_, handler) => {
    const [status, text] = await seen(failing(handler))
    expect([status, JSON.parse(text).code]).toEqual([503, 'failed'])
  })

  test('that throws behind the end of its answer changes nothing', async () => {
    const late: FallbackHandler = (_req, res) => {
      res.end('sorry')
      throw new Error('too late')
    }
    expect(await seen(failing(late))).toEqual([200, 'sorry'])
  })

  test('has no part in errors of the client, nor in those that it does not accept', async () => {
    const [status] = await seen((req, res) => {
      offerFallback(exchangeOf(req, res), { handler: saying('sorry'), accepts: any, errors: 'respond' })
      failExchange(req, res, error(413), 'respond')
    })
    expect(status).toBe(413)
    const [other] = await seen((req, res) => {
      const accepts = (each: GatewayError) => each.code === 'open'
      offerFallback(exchangeOf(req, res), { handler: saying('sorry'), accepts, errors: 'respond' })
      failExchange(req, res, error(), 'respond')
    })
    expect(other).toBe(503)
  })

  test('hands the error on where errors go to the app', async () => {
    const told: unknown[] = []
    await seen((req, res) => {
      const next = (reason?: unknown): void => {
        told.push(reason)
        res.end('the app')
      }
      const handler: FallbackHandler = (_req, _res, leave) => leave()
      offerFallback(exchangeOf(req, res), { handler, accepts: any, errors: 'next' }, next)
      failExchange(req, res, error(), 'next', next)
    })
    expect(told).toEqual([expect.objectContaining({ code: 'failed' })])
  })
})
