import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Reply, request } from '@postern/test-kit'
import { createApp } from '../src/gateway.ts'
import { type Shop, type ShopOptions, startShop } from '../src/shop.ts'

// Services inherit it: a slow bank is slow enough with one second.
process.env.BANK_SLOW_MS = '1000'

const STAFF_KEY = 'key-of-the-staff'

/** Starts the services and the gateway in front of them, as `main.ts` does, without its output. */
export async function openShop(options: ShopOptions = {}) {
  const shop: Shop = await startShop(options)
  const { app, gw } = createApp(shop.targets, { staffKey: STAFF_KEY, logger: false })
  const server = gw.attach(createServer(app))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    shop,
    gw,
    url,
    get: (path: string): Promise<Reply> => request(url + path),
    post: (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
      request(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    /** Buys one piece unless the order says otherwise. */
    pay: (key: string, order: { sku: string; quantity?: number; card: string }): Promise<Reply> =>
      request(`${url}/payments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(order),
      }),
    /** Changes a price, as staff do. @param key `''`: shows none */
    setPrice: (sku: string, priceCents: number, key = STAFF_KEY): Promise<Reply> =>
      request(`${url}/products/${sku}/price`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', ...(key !== '' && { authorization: `Bearer ${key}` }) },
        body: JSON.stringify({ priceCents }),
      }),
    async close(): Promise<void> {
      await gw.close()
      await shop.close()
    },
  }
}

export type OpenShop = Awaited<ReturnType<typeof openShop>>
