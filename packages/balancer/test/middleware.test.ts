import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exchangeOf, isRefusal } from '@postern/contracts'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { balancer } from '../src/index.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Stands in for the proxy: leases a target, says which, and settles when the answer is out. */
function answerWithTarget(req: IncomingMessage, res: ServerResponse): void {
  const result = exchangeOf(req, res).selection?.acquire()
  if (result === undefined || isRefusal(result)) {
    res.statusCode = 503
    res.end(result?.reason)
    return
  }
  res.once('close', () => result.settle({ status: res.statusCode, headersMs: 1, totalMs: 2 }))
  res.end(result.target.id)
}

async function get(url: string): Promise<string> {
  return (await fetch(url)).text()
}

const targets = ['a', 'b', 'c'].map((id, i) => ({ url: `http://127.0.0.1:${3001 + i}`, id }))

describe('balancer() in an Express app', () => {
  it('gives the handler behind it a target for each request', async () => {
    const app = express()
    const products = balancer({ targets, strategy: 'round-robin' })
    app.use('/products', products, answerWithTarget)
    const url = await listen(app)
    const answers: string[] = []
    for (let i = 0; i < 6; i++) answers.push(await get(`${url}/products/${i}`))
    expect(answers.join('')).toBe('abcabc')
    expect(products.targets.map(({ requests, inFlight }) => [requests, inFlight])).toEqual([
      [2, 0],
      [2, 0],
      [2, 0],
    ])
  })

  it('is called balancerHandler in the stack', () => {
    const app = express()
    app.use(balancer({ targets }))
    expect(app.router.stack.map((layer) => layer.name)).toContain('balancerHandler')
  })

  it('keeps two balancers apart, each on its own path', async () => {
    const app = express()
    app.use('/one', balancer({ targets: targets.slice(0, 1) }), answerWithTarget)
    app.use('/two', balancer({ targets: targets.slice(1, 2) }), answerWithTarget)
    const url = await listen(app)
    expect(await Promise.all([get(`${url}/one`), get(`${url}/two`)])).toEqual(['a', 'b'])
  })

  it('chooses by what a strategy of its own reads from the request', async () => {
    const app = express()
    app.use(
      balancer({
        targets,
        strategy: {
          choose: (candidates, { exchange }) =>
            candidates.find(({ target }) => target.id === exchange.request.headers['x-shard']),
        },
      }),
      answerWithTarget,
    )
    const url = await listen(app)
    expect(await (await fetch(url, { headers: { 'x-shard': 'c' } })).text()).toBe('c')
    expect(await get(url)).toBe('saturated')
  })

  it('lets the handler behind it answer 503 when there is no target', async () => {
    const app = express()
    app.use(balancer({ targets: [] }), answerWithTarget)
    const answer = await fetch(await listen(app))
    expect([answer.status, await answer.text()]).toEqual([503, 'no_targets'])
  })
})

describe('balancer() in a bare server', () => {
  it('works alike', async () => {
    const pool = balancer({ targets, strategy: 'round-robin' })
    const url = await listen((req, res) => pool(req, res, () => answerWithTarget(req, res)))
    expect([await get(url), await get(url), await get(url)]).toEqual(['a', 'b', 'c'])
  })

  it('shows requests in flight, and drains a target without cutting them', async () => {
    const pool = balancer({ targets, strategy: 'least-requests' })
    const held: (() => void)[] = []
    let allHeld: () => void
    const six = new Promise<void>((resolve) => {
      allHeld = resolve
    })
    const url = await listen((req, res) =>
      pool(req, res, () => {
        const result = exchangeOf(req, res).selection!.acquire()
        if (isRefusal(result)) throw new Error(result.reason)
        held.push(() => {
          res.end(result.target.id)
          result.settle({ status: 200, headersMs: 1, totalMs: 2 })
        })
        if (held.length === 6) allHeld()
      }),
    )
    const answers = Array.from({ length: 6 }, () => get(url))
    await six
    expect(pool.targets.map(({ inFlight }) => inFlight)).toEqual([2, 2, 2])
    const drained = pool.drain('b')
    expect(pool.targets[1]?.state).toBe('draining')
    for (const answer of held.splice(0)) answer()
    expect(await drained).toBe(true)
    expect((await Promise.all(answers)).sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
    expect(pool.targets[1]?.state).toBe('drained')
  })
})
