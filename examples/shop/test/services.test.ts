import { connectWebSocket, HandshakeRefused, type Reply, request } from '@postern/test-kit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CARDS } from '../src/services/payments/bank.ts'
import { KEYS, type OpenShop, openShop } from './open-shop.ts'

interface Page {
  readonly total: number
  readonly items: readonly { readonly sku: string; readonly category: string }[]
}

describe('an open shop', () => {
  let shop: OpenShop
  const reseller = { 'x-api-key': KEYS.reseller }
  beforeAll(async () => {
    shop = await openShop()
  })
  afterAll(() => shop.close())

  async function available(sku: string): Promise<number> {
    return (await shop.stockOf(sku)).available
  }

  test('lists products by page', async () => {
    const [first, second] = await Promise.all([
      shop.get('/products?pageSize=3'),
      shop.get('/products?pageSize=3&page=2'),
    ])
    expect(first.status).toBe(200)
    const skus = [first, second].flatMap((reply) => (reply.json() as Page).items.map((item) => item.sku))
    expect(new Set(skus).size).toBe(6)
    expect(first.json()).toMatchObject({ page: 1, pageSize: 3, total: 18 })
  })

  test('has both instances of products answer in turn', async () => {
    const replies: Reply[] = []
    // Four different questions: the second time, the same one would be answered by the cache.
    for (let i = 10; i < 14; i++) replies.push(await shop.get(`/products?pageSize=${i}`))
    expect(replies.map((reply) => reply.status)).toEqual([200, 200, 200, 200])
    const [first, second, third, fourth] = replies.map((reply) => reply.headers['x-instance'])
    expect(new Set([first, second])).toEqual(new Set(['products-1', 'products-2']))
    expect([third, fourth]).toEqual([first, second])
  })

  test('says 404 to what is not sold', async () => {
    expect((await shop.get('/products/unicorn')).json()).toMatchObject({ error: 'unknown_product' })
  })

  test('leaves what no route takes to the app behind the gateway', async () => {
    expect((await shop.get('/')).json()).toMatchObject({ shop: 'open' })
    expect((await shop.get('/unknown')).status).toBe(404)
    expect((await request(`${shop.url}/products`, { method: 'DELETE' })).status).toBe(404)
  })

  test('filters by category and searches, with wildcards of SQL taken as text', async () => {
    const desk = (await shop.get('/products?category=desk')).json() as Page
    expect(desk.total).toBe(4)
    expect(desk.items.every((item) => item.category === 'desk')).toBe(true)
    const mugs = (await shop.get('/products?search=mug')).json() as Page
    expect(mugs.items.map((item) => item.sku).sort()).toEqual(['mug-blue', 'mug-tall'])
    expect(((await shop.get('/products?search=%25')).json() as Page).total).toBe(0)
  })

  test('lists categories', async () => {
    expect((await shop.get('/categories')).json()).toMatchObject({
      items: expect.arrayContaining([{ category: 'home', products: 5 }]),
    })
  })

  test('refuses a page that is none', async () => {
    expect((await shop.get('/products?page=0')).status).toBe(400)
  })

  test('reserves stock and puts it back', async () => {
    const before = await available('bowl-oak')
    const reserved = await shop.post('/inventory/reservations', { sku: 'bowl-oak', quantity: 5 }, reseller)
    expect(reserved.status).toBe(201)
    const { id } = reserved.json() as { id: string }
    expect(await available('bowl-oak')).toBe(before - 5)
    const release = { method: 'DELETE', headers: reseller }
    const released = await request(`${shop.url}/inventory/reservations/${id}`, release)
    expect(released.status).toBe(200)
    expect(await available('bowl-oak')).toBe(before)
    const again = await request(`${shop.url}/inventory/reservations/${id}`, release)
    expect(again.status).toBe(404)
    expect(await available('bowl-oak')).toBe(before)
  })

  test('never promises more than there is, however many ask at a time', async () => {
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => shop.post('/inventory/reservations', { sku: 'rug-wool' }, reseller)),
    )
    expect(replies.filter((reply) => reply.status === 201)).toHaveLength(4)
    const refused = replies.filter((reply) => reply.status === 409)
    expect(refused).toHaveLength(16)
    expect(refused[0]!.json()).toMatchObject({ error: 'out_of_stock', available: 0 })
    expect(await available('rug-wool')).toBe(0)
  })

  test('takes a payment once, however often it is sent', async () => {
    const before = await available('pen-brass')
    const order = { sku: 'pen-brass', card: CARDS.good }
    const atOnce = await Promise.all(Array.from({ length: 5 }, () => shop.pay('one-pen', order)))
    const later = await shop.pay('one-pen', order)
    expect(atOnce.map((reply) => reply.status).sort()).toEqual([200, 200, 200, 200, 201])
    expect(later.status).toBe(200)
    expect(later.headers['idempotency-replayed']).toBe('true')
    expect((await shop.get(atOnce.find((reply) => reply.status === 201)!.headers.location!, shop.ada)).text).toBe(
      later.text,
    )
    expect(new Set([...atOnce, later].map((reply) => reply.text)).size).toBe(1)
    expect(await available('pen-brass')).toBe(before - 1)
  })

  test('refuses a key that was used for another order, and a payment without a key', async () => {
    await shop.pay('note', { sku: 'note-dots', card: CARDS.good })
    const other = await shop.pay('note', { sku: 'note-plain', card: CARDS.good })
    expect(other.status).toBe(422)
    const without = await shop.post('/payments', { sku: 'note-dots', card: CARDS.good }, shop.ada)
    expect(without.status).toBe(400)
    expect(without.text).toContain('Idempotency-Key')
  })

  test('says 402 when the card is declined, the same on repeating, and keeps no stock', async () => {
    const before = await available('clock-wall')
    const order = { sku: 'clock-wall', card: CARDS.declined }
    const declined = await shop.pay('clock', order)
    expect(declined.status).toBe(402)
    expect(declined.json()).toMatchObject({ error: 'card_declined', payment: { status: 'declined' } })
    expect((await shop.pay('clock', order)).json()).toEqual(declined.json())
    expect(await available('clock-wall')).toBe(before)
  })

  test('says 409 when it is out of stock, and charges nothing', async () => {
    expect((await shop.pay('lantern-1', { sku: 'lamp-last', card: CARDS.good })).status).toBe(201)
    const sold = await shop.pay('lantern-2', { sku: 'lamp-last', card: CARDS.good })
    expect(sold.status).toBe(409)
    expect(sold.json()).toMatchObject({ error: 'out_of_stock', sku: 'lamp-last', available: 0 })
  })

  test('tells staff on the WebSocket of a payment, and that stock runs low', async () => {
    const listener = await shop.listen(shop.bearer(await shop.signIn('sam@example.com')))
    // Six desk lamps: three are left, which is low.
    const paid = await shop.pay('lamps', { sku: 'lamp-desk', quantity: 3, card: CARDS.good })
    const { id } = paid.json() as { id: string }
    expect(JSON.parse((await listener.next()).data.toString())).toMatchObject({
      type: 'order.paid',
      payment: { id, sku: 'lamp-desk', quantity: 3 },
    })
    expect(JSON.parse((await listener.next()).data.toString())).toEqual({
      type: 'stock.low',
      sku: 'lamp-desk',
      available: 3,
    })
    expect(await listener.close()).toMatchObject({ code: 1000 })
  })

  test('answers 404 to a WebSocket on an unknown path', async () => {
    const refused = await connectWebSocket(`${shop.url}/nope`).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(HandshakeRefused)
    expect((refused as HandshakeRefused).status).toBe(404)
  })

  test('refuses a path that could be read in two ways before any service sees it', async () => {
    const reply = await request(shop.url, { path: '/products/%2e%2e/payments' })
    expect(reply.status).toBe(400)
    expect(reply.headers['content-type']).toBe('application/problem+json')
    expect(reply.headers['x-instance']).toBeUndefined()
  })
})
