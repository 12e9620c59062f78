import { spawn } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { connectWebSocket, eventually, type Reply, request } from '@postern/test-kit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../src/gateway.ts'
import { type Shop, startShop } from '../src/shop.ts'

const GOOD_CARD = '4242 4242 4242 4242'
const DECLINED_CARD = '4000000000000002'
const SLOW_CARD = '4000000000000077'

interface Open {
  readonly shop: Shop
  readonly gw: ReturnType<typeof createApp>['gw']
  readonly server: Server
  readonly url: string
}

/** The real services, each in its process, behind the real gateway. */
async function open(): Promise<Open> {
  const shop = await startShop()
  const { app, gw } = createApp(shop.targets, false)
  const server = gw.attach(createServer(app))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { shop, gw, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function pay(url: string, key: string, sku: string, card: string, quantity = 1): Promise<Reply> {
  return request(`${url}/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ sku, card, quantity }),
  })
}

describe('a customer', () => {
  let it: Open
  beforeAll(async () => {
    it = await open()
  })
  afterAll(async () => {
    await it.gw.close()
    await it.shop.close()
  })

  test('browses the catalogue, which both instances serve in turn', async () => {
    const replies = []
    for (let i = 0; i < 4; i++) replies.push(await request(`${it.url}/products?category=desk`))
    expect(replies.map((reply) => reply.status)).toEqual([200, 200, 200, 200])
    expect(JSON.parse(replies[0]!.text).items.length).toBeGreaterThan(2)
    expect(new Set(replies.map((reply) => reply.headers['x-instance']))).toEqual(new Set(['products-1', 'products-2']))
  })

  test('looks at one product, and at one that is not sold', async () => {
    expect(JSON.parse((await request(`${it.url}/products/mug-blue`)).text)).toMatchObject({ priceCents: 1290 })
    expect((await request(`${it.url}/products/unicorn`)).status).toBe(404)
  })

  test('pays once, however often the same order is sent', async () => {
    const before = JSON.parse((await request(`${it.url}/inventory/stock/pen-brass`)).text).available
    const first = await pay(it.url, 'order-1', 'pen-brass', GOOD_CARD)
    const again = await pay(it.url, 'order-1', 'pen-brass', GOOD_CARD)
    expect([first.status, again.status]).toEqual([201, 200])
    expect(JSON.parse(again.text).id).toBe(JSON.parse(first.text).id)
    const after = JSON.parse((await request(`${it.url}/inventory/stock/pen-brass`)).text).available
    expect(after).toBe(before - 1)
    expect((await request(`${it.url}${first.headers.location}`)).status).toBe(200)
  })

  test('is told when the stock does not suffice, and when the bank declines', async () => {
    expect((await pay(it.url, 'order-2', 'lamp-last', GOOD_CARD, 2)).status).toBe(409)
    expect((await pay(it.url, 'order-3', 'lamp-last', DECLINED_CARD)).status).toBe(402)
    // Nothing was kept of the two that failed.
    expect((await pay(it.url, 'order-4', 'lamp-last', GOOD_CARD)).status).toBe(201)
  })

  test('finds the rest of the app behind the gateway', async () => {
    expect(JSON.parse((await request(it.url)).text)).toMatchObject({ shop: 'open' })
    expect((await request(`${it.url}/unknown`)).status).toBe(404)
    expect((await request(`${it.url}/products`, { method: 'DELETE' })).status).toBe(404)
  })

  test('pays, and the back office sees it at once over a WebSocket', async () => {
    const events = await connectWebSocket(`${it.url.replace('http', 'ws')}/events`)
    const paid = await pay(it.url, 'order-5', 'note-dots', GOOD_CARD)
    const event = JSON.parse(String((await events.next()).data))
    expect(event).toMatchObject({ type: 'order.paid', payment: { id: JSON.parse(paid.text).id } })
    events.close()
  })
})

describe('a products instance that is killed while customers browse', () => {
  test('costs clear 502 answers at most, and none once it is drained', async () => {
    const { shop, gw, url } = await open()
    const replies: Reply[] = []
    let stop = false
    const browse = async (): Promise<void> => {
      while (!stop) replies.push(await request(`${url}/products/mug-blue`))
    }
    const customers = Array.from({ length: 4 }, browse)
    await eventually(() => expect(replies.length).toBeGreaterThan(20))
    const dead = shop.service('products-1')
    dead.kill()
    await dead.ended
    const atDeath = replies.length
    await eventually(() => expect(replies.length).toBeGreaterThan(atDeath + 40))
    await gw.upstreams.products.drain('products-1')
    stop = true
    await Promise.all(customers)
    for (const reply of replies) {
      if (reply.status === 200) expect(JSON.parse(reply.text).sku).toBe('mug-blue')
      else {
        expect(reply.status).toBe(502)
        expect(reply.headers['content-type']).toBe('application/problem+json')
        expect(JSON.parse(reply.text).code).toBe('upstream_failed')
      }
      expect(reply.complete).toBe(true)
    }
    for (let i = 0; i < 10; i++) {
      const reply = await request(`${url}/products/mug-blue`)
      expect([reply.status, reply.headers['x-instance']]).toEqual([200, 'products-2'])
    }
    await gw.close()
    await shop.close()
  })
})

describe('closing the gateway', () => {
  test('lets a payment finish and tells WebSockets to go away', async () => {
    const { shop, gw, url } = await open()
    const events = await connectWebSocket(`${url.replace('http', 'ws')}/events`)
    const slow = pay(url, 'order-1', 'mug-blue', SLOW_CARD)
    await eventually(() => expect(gw.upstreams.payments.targets[0]!.inFlight).toBe(2))
    const closing = gw.close()
    expect((await events.ended).code).toBe(1001)
    expect((await slow).status).toBe(201)
    await closing
    await shop.close()
  })
})

describe('npx pnpm@12 start', () => {
  test('prints where the shop is, serves, and closes at Ctrl-C', async () => {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
    const child = spawn(process.execPath, ['--conditions=@postern/source', main], {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      errors += chunk
    })
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
    await eventually(() => expect(output).toContain('curl'), { timeoutMs: 20_000 })
    const url = /the shop\s+(http:\S+)/.exec(output)![1]!
    expect((await request(`${url}/products`)).status).toBe(200)
    const pids = [...output.matchAll(/pid (\d+)/g)].map((match) => Number(match[1]))
    expect(pids).toHaveLength(4)
    child.kill('SIGINT')
    expect(await exited).toBe(0)
    expect(output).toContain('"message":"GET /products 200"')
    expect(errors).toBe('')
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})
