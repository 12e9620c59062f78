import { eventually, type Reply, request } from '@postern/test-kit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KEYS, type OpenShop, openShop } from './open-shop.ts'

interface Product {
  readonly sku: string
  readonly priceCents: number
}

/** What the cache says of an answer. */
const told = (reply: Reply): string => String(reply.headers['cache-status'])

/** The price of a product on whatever page shows it. */
function priceOn(page: Reply, sku: string): number | undefined {
  const { items, ...one } = page.json() as { items?: readonly Product[] } & Product
  return (items ?? [one]).find((product) => product.sku === sku)?.priceCents
}

describe('the catalogue behind a cache', () => {
  let shop: OpenShop
  beforeAll(async () => {
    shop = await openShop()
  })
  afterAll(() => shop.close())

  test('is asked for once; whoever comes next is answered by the gateway', async () => {
    for (const path of ['/products?category=desk', '/products/pen-brass', '/categories']) {
      const [first, second] = [await shop.get(path), await shop.get(path)]
      expect(told(first)).toMatch(/^Postern; fwd=uri-miss; ttl=(30|2\d); stored$/)
      expect(told(second)).toMatch(/^Postern; hit; ttl=(30|2\d)$/)
      expect([second.status, second.text]).toEqual([200, first.text])
      // A browser may keep it as well, and asks by the ETag later. Which tags it has is the gateway's business.
      expect(second.headers['cache-control']).toBe(
        'public, max-age=30, stale-while-revalidate=300, stale-if-error=3600',
      )
      expect(second.headers).not.toHaveProperty('cache-tag')
      const etag = second.headers.etag!
      expect((await request(shop.url + path, { headers: { 'if-none-match': etag } })).status).toBe(304)
    }
  })

  test('is brought up to date in the background once it is stale, while customers see what is there', async () => {
    await shop.get('/products/clock-wall')
    expect(await shop.gw.cache!.purgeTag('product-clock-wall', { soft: true })).toBe(1)
    const stale = await shop.get('/products/clock-wall')
    expect([stale.status, told(stale)]).toEqual([200, expect.stringContaining('detail=stale-while-revalidate')])
    await eventually(async () => expect(told(await shop.get('/products/clock-wall'))).toMatch(/hit; ttl=(30|2\d)$/))
  })

  test('shows a new price at once, on every page that has it, and leaves the other pages in the cache', async () => {
    const pages = [
      '/products/mug-blue',
      '/products?pageSize=100',
      '/products?category=kitchen&pageSize=50',
      '/products?search=mug',
    ]
    const others = ['/products/rug-wool', '/products?category=travel', '/categories']
    for (const path of [...pages, ...others]) await shop.get(path)
    for (const path of [...pages, ...others]) expect(told(await shop.get(path))).toContain('hit')

    const changed = await shop.setPrice('mug-blue', 1_111)
    expect([changed.status, changed.json()]).toMatchObject([200, { sku: 'mug-blue', priceCents: 1_111 }])
    for (const path of pages) {
      const page = await shop.get(path)
      expect([path, told(page), priceOn(page, 'mug-blue')]).toEqual([
        path,
        expect.stringContaining('fwd=uri-miss'),
        1_111,
      ])
    }
    for (const path of others) expect(told(await shop.get(path))).toContain('hit')
  })

  test('has the same price from both instances', async () => {
    await shop.setPrice('lamp-desk', 6_543)
    for (const instance of ['products-1', 'products-2']) {
      const reply = await request(`${shop.shop.service(instance).url}/products/lamp-desk`)
      expect([reply.headers['x-instance'], priceOn(reply, 'lamp-desk')]).toEqual([instance, 6_543])
    }
  })

  test('takes many new prices at a time, whichever instance they meet', async () => {
    const prices = Array.from({ length: 40 }, (_, i) => 1_000 + i)
    const replies = await Promise.all(prices.map((price) => shop.setPrice('vase-clay', price)))
    expect(replies.map((reply) => reply.status)).toEqual(Array(40).fill(200))
    expect(new Set(replies.map((reply) => reply.headers['x-instance'])).size).toBe(2)
    const last = priceOn(await shop.get('/products/vase-clay'), 'vase-clay')
    expect(prices).toContain(last)
    expect(priceOn(await shop.get('/products?search=vase'), 'vase-clay')).toBe(last)
  })

  test('has its prices changed by staff alone', async () => {
    const before = await shop.get('/products/bowl-oak')
    const others: [Record<string, string>, number][] = [
      [{}, 401],
      [{ 'x-api-key': 'key-of-the-stuff' }, 401],
      [{ 'x-api-key': `${KEYS.staff}-and-more` }, 401],
      [{ 'x-api-key': KEYS.reseller }, 403],
      [shop.ada, 403],
    ]
    for (const [who, status] of others) {
      const refused = await shop.setPrice('bowl-oak', 1, who)
      expect([refused.status, refused.headers['www-authenticate']]).toEqual([status, expect.stringContaining('realm=')])
      // No service has seen it.
      expect(refused.headers['x-instance']).toBeUndefined()
    }
    const after = await shop.get('/products/bowl-oak')
    expect([told(after), after.text]).toEqual([expect.stringContaining('hit'), before.text])

    // Staff are people as well, who sign in like a customer.
    const sam = shop.bearer(await shop.signIn('sam@example.com'))
    expect((await shop.setPrice('bowl-oak', 3_333, sam)).status).toBe(200)
    expect(priceOn(await shop.get('/products/bowl-oak'), 'bowl-oak')).toBe(3_333)
  })

  test('stays in the cache when the service refuses a price', async () => {
    await shop.get('/products/bag-canvas')
    const refused = await shop.setPrice('bag-canvas', 0)
    expect([refused.status, refused.json()]).toMatchObject([400, { error: 'bad_request' }])
    expect((await shop.setPrice('unicorn', 100)).status).toBe(404)
    expect(told(await shop.get('/products/bag-canvas'))).toContain('hit')
  })
})

describe('the catalogue while products are killed', () => {
  let shop: OpenShop
  beforeAll(async () => {
    shop = await openShop()
  })
  afterAll(() => shop.close())

  async function kill(instance: string): Promise<void> {
    const victim = shop.shop.service(instance)
    victim.kill()
    await victim.ended
  }

  test('is served and sold at new prices by the instance that is left, and from the cache when none is', async () => {
    await shop.get('/products/note-dots')
    await kill('products-2')
    expect(told(await shop.get('/products/note-dots'))).toContain('hit')
    const asked = await shop.get('/products/note-plain')
    expect([asked.status, asked.headers['x-instance']]).toEqual([200, 'products-1'])
    expect((await shop.setPrice('note-dots', 888)).status).toBe(200)
    expect(priceOn(await shop.get('/products/note-dots'), 'note-dots')).toBe(888)

    await kill('products-1')
    expect(told(await shop.get('/products/note-dots'))).toContain('hit')
    // Out of date as well: nobody can be asked, and what is there is better than nothing.
    await shop.gw.cache!.purgeTag('products', { soft: true })
    const stale = await shop.get('/products/note-dots')
    expect([stale.status, priceOn(stale, 'note-dots')]).toEqual([200, 888])
    const unknown = await shop.get('/products/pen-brass')
    expect([unknown.status, unknown.headers['retry-after'] !== undefined]).toEqual([503, true])
    // Nobody knows whether such a change was made, so nothing old is shown for it.
    expect((await shop.setPrice('note-dots', 777)).status).toBe(503)
    expect((await shop.get('/products/note-dots')).status).toBe(503)
  })
})
