import { existsSync } from 'node:fs'
import { Agent } from 'node:http'
import { eventually, type Reply, request } from '@postern/test-kit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CARDS } from '../src/services/payments/bank.ts'
import { startShop } from '../src/shop.ts'
import { type OpenShop, openShop, PASSWORD } from './open-shop.ts'

/** A reply, and how long it took. */
interface Timed {
  readonly reply: Reply
  readonly tookMs: number
}

async function timed(asked: Promise<Reply>): Promise<Timed> {
  const startedAtMs = performance.now()
  return { reply: await asked, tookMs: performance.now() - startedAtMs }
}

describe('a shop that loses a service', () => {
  let shop: OpenShop
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  /** When an instance listened again. */
  const restartedAtMs = new Map<string, number>()
  beforeAll(async () => {
    shop = await openShop({
      restartMs: 300,
      onRestarted: ({ instance }) => restartedAtMs.set(instance, performance.now()),
    })
  })
  afterAll(async () => {
    agent.destroy()
    await shop.close()
  })

  /** Looks at a product, and has the service itself asked. */
  const browse = (): Promise<Reply> =>
    request(`${shop.url}/products/mug-blue`, { agent, timeoutMs: 2_000, headers: { 'cache-control': 'no-cache' } })

  async function kill(instance: string): Promise<void> {
    const victim = shop.shop.service(instance)
    restartedAtMs.delete(instance)
    victim.kill()
    expect(await victim.ended).toEqual({ code: null, signal: 'SIGKILL' })
  }

  /** Sends the same payment on and on until it is not the fallback that answers. */
  async function payUntilAnswered(key: string, order: Parameters<OpenShop['pay']>[1]) {
    const refused: Timed[] = []
    const answer = await eventually(
      async () => {
        const next = await timed(shop.pay(key, order))
        if (next.reply.status !== 503) return next.reply
        refused.push(next)
        return false
      },
      { intervalMs: 20, timeoutMs: 10_000 },
    )
    if (answer === false) throw new Error('eventually() gave false')
    return { answer, refused, sinceRestartMs: performance.now() - (restartedAtMs.get('payments') ?? 0) }
  }

  test('answers every customer while products is killed and while it comes back', async () => {
    const killedPid = shop.shop.service('products-2').pid
    const replies: Reply[] = []
    let fromNew = 0

    async function customer(): Promise<void> {
      while (fromNew < 10 && replies.length < 50_000) {
        const reply = await browse()
        replies.push(reply)
        if (restartedAtMs.has('products-2') && reply.headers['x-instance'] === 'products-2') fromNew++
      }
    }
    const customers = Promise.all(Array.from({ length: 8 }, customer))
    await eventually(() => replies.length >= 200)
    await kill('products-2')
    const atDeath = replies.length
    await customers

    const lost = replies.filter((reply) => reply.status !== 200 || !reply.complete)
    expect(lost.map((reply) => reply.text)).toEqual([])
    expect(replies.length).toBeGreaterThan(atDeath + 10)
    expect(fromNew).toBeGreaterThanOrEqual(10)
    expect(shop.shop.service('products-2').pid).not.toBe(killedPid)
    expect(shop.gw.upstreams.products.targets.every((target) => target.eligible)).toBe(true)
  })

  test('answers for payments within milliseconds while they are down, and takes the first payment when they are back', async () => {
    const before = { sku: 'pen-brass', card: CARDS.good }
    const paid = await shop.pay('before', before)
    expect(paid.status).toBe(201)
    const { reserved } = await shop.stockOf('mug-tall')

    await kill('payments')
    const { answer, refused, sinceRestartMs } = await payUntilAnswered('meanwhile', {
      sku: 'mug-tall',
      card: CARDS.good,
    })

    expect(refused.length).toBeGreaterThan(0)
    for (const { reply } of refused) {
      expect([reply.status, reply.headers['content-type'], reply.headers['retry-after']]).toEqual([
        503,
        'application/json',
        '2',
      ])
      expect(reply.json()).toMatchObject({
        error: 'payments_resting',
        message: expect.stringContaining('charged nothing'),
        retryAfterSeconds: 2,
      })
    }
    // The median: one of many may meet a machine that is busy with something else.
    const times = refused.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
    expect(times[Math.floor(times.length / 2)]).toBeLessThan(50)
    expect(times.at(-1)).toBeLessThan(1_000)

    expect(answer.status).toBe(201)
    expect(sinceRestartMs).toBeLessThan(2_000)
    expect((await shop.stockOf('mug-tall')).reserved).toBe(reserved + 1)
    // What was paid before is still known.
    const again = await shop.pay('before', before)
    expect([again.status, again.text]).toEqual([200, paid.text])
  })

  test('never makes a payment twice when payments is killed in the middle of it', async () => {
    const order = { sku: 'bag-canvas', card: CARDS.slow }
    const before = await shop.stockOf(order.sku)
    const cut = shop.pay('cut', order)
    await eventually(async () => expect((await shop.stockOf(order.sku)).reserved).toBe(before.reserved + 1))
    await kill('payments')
    const { reply, tookMs } = await timed(cut)
    expect(reply.status).toBe(503)
    // Nobody in front of the bank knows, so nobody says that nothing was charged.
    expect(reply.json()).toMatchObject({ error: 'payment_unknown' })
    expect(tookMs).toBeLessThan(1_000)

    const { answer } = await payUntilAnswered('cut', order)
    expect(answer.status).toBe(201)
    const replayed = await shop.pay('cut', order)
    expect([replayed.status, replayed.text]).toEqual([200, answer.text])
    expect(await shop.stockOf(order.sku)).toMatchObject({
      available: before.available - 1,
      reserved: before.reserved + 1,
    })
  })

  test('carries twenty slow payments at a time and turns the rest away soon, while browsing and events go on', async () => {
    const listeners = await Promise.all([1, 2, 3].map(() => shop.listen()))
    const { bulkhead } = shop.gw.parts.payments
    expect(bulkhead!.inFlight).toBe(0)

    const order = { sku: 'note-plain', card: CARDS.slow }
    const asked = Array.from({ length: 35 }, (_, i) => timed(shop.pay(`many-${i}`, order)))
    await eventually(() => expect([bulkhead!.inFlight, bulkhead!.queued]).toEqual([20, 10]))
    expect((await browse()).status).toBe(200)

    const all = (await Promise.all(asked)).sort((a, b) => a.tookMs - b.tookMs).map(({ reply }) => reply)
    // The queue is left after 300 ms; the payments in front take a second.
    const [refused, made] = [all.slice(0, 15), all.slice(15)]
    expect(made.map((reply) => reply.status)).toEqual(Array(20).fill(201))
    for (const reply of refused) {
      expect([reply.status, reply.headers['retry-after']]).toEqual([503, '2'])
      expect(reply.json()).toMatchObject({ error: 'payments_resting' })
    }
    expect((await shop.stockOf(order.sku)).reserved).toBe(20)
    expect(bulkhead!.inFlight).toBe(0)
    for (const listener of listeners) await listener.close()
  })

  test('refuses payments without charging while the inventory is gone, and knows its stock when it is back', async () => {
    const before = await shop.stockOf('pen-brass')
    await kill('inventory')
    const order = { sku: 'pen-brass', card: CARDS.good }
    const refused = await shop.pay('nobody-knows', order)
    expect(refused.status).toBe(503)
    expect(refused.json()).toMatchObject({ error: 'inventory_unavailable' })
    const stock = await timed(shop.get('/inventory/stock/pen-brass', shop.ada))
    expect([stock.reply.status, stock.reply.headers['content-type']]).toEqual([503, 'application/problem+json'])
    expect(Number(stock.reply.headers['retry-after'])).toBeGreaterThan(0)
    expect(stock.tookMs).toBeLessThan(1_000)
    expect((await browse()).status).toBe(200)

    await eventually(async () => expect(await shop.stockOf('pen-brass')).toEqual(before), { timeoutMs: 10_000 })
    const { answer } = await payUntilAnswered('nobody-knows', order)
    expect(answer.status).toBe(201)
    expect((await shop.stockOf('pen-brass')).reserved).toBe(before.reserved + 1)
  })

  test('looks after payments that cannot be looked up', async () => {
    const paid = await shop.pay('look', { sku: 'ruler-steel', card: CARDS.good })
    shop.gw.parts.payments.breaker!.isolate()
    const resting = await shop.get(paid.headers.location!, shop.ada)
    expect(resting.status).toBe(503)
    expect(resting.json()).toMatchObject({ error: 'payments_resting' })
    expect(resting.text).not.toContain('charged')
    shop.gw.parts.payments.breaker!.reset()
    expect((await shop.get(paid.headers.location!, shop.ada)).text).toBe(paid.text)
  })
})

describe('a shop that closes', () => {
  test('finishes what is under way and tells WebSockets to go away', async () => {
    const shop = await openShop()
    const { folder } = shop.shop
    const { payments, events } = shop.gw.upstreams
    try {
      const listener = await shop.listen()
      const slow = shop.pay('slow', { sku: 'mug-tall', card: CARDS.slow })
      await eventually(() => expect([payments.targets[0]!.inFlight, events.targets[0]!.inFlight]).toEqual([1, 1]))

      const closed = shop.gw.close()
      expect(await listener.ended).toMatchObject({ code: 1001 })
      await expect(shop.get('/products')).rejects.toThrow('ECONNREFUSED')
      const reply = await slow
      expect(reply.status).toBe(201)
      expect(reply.complete).toBe(true)
      expect(reply.headers.connection).toBe('close')
      await closed
      expect([payments.targets[0]!.inFlight, events.targets[0]!.inFlight]).toEqual([0, 0])
    } finally {
      await shop.close()
    }
    expect(shop.shop.services.map((service) => service.end)).toEqual(Array(5).fill({ code: 0, signal: null }))
    expect(existsSync(folder)).toBe(false)
  })

  test('starts nothing again, and ends what it was just starting', async () => {
    const started: number[] = []
    const shop = await startShop({
      keyServer: { issuer: 'https://gateway.shop.example', jwksUri: 'http://127.0.0.1:9/jwks.json' },
      customerPassword: PASSWORD,
      restartMs: 200,
      onRestarted: ({ pid }) => started.push(pid),
    })
    const killed = shop.service('products-1')
    killed.kill()
    await killed.ended
    const processes = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'ProcessWrap').length
    await eventually(() => processes() === 4)
    await eventually(() => processes() === 5)
    expect(started).toEqual([])
    await shop.close()
    await eventually(() => expect(processes()).toBe(0))
    expect(started).toEqual([])
    expect(shop.services.map((service) => service.end)).toEqual(Array(5).fill({ code: 0, signal: null }))
    expect(shop.service('products-1')).not.toBe(killed)
    expect(existsSync(shop.folder)).toBe(false)
  })
})
