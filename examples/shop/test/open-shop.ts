import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { internalIssuer } from '@postern/auth'
import { type ConnectedWebSocket, connectWebSocket, type Reply, request } from '@postern/test-kit'
import { createApp } from '../src/gateway.ts'
import { type KeyServer, serveKeys } from '../src/key-server.ts'
import { keyTable } from '../src/keys.ts'
import { type Shop, type ShopOptions, startShop } from '../src/shop.ts'

// Services inherit it: a slow bank is slow enough with one second.
process.env.BANK_SLOW_MS = '1000'

export const KEYS = {
  staff: 'key-of-the-staff',
  reseller: 'key-of-a-reseller',
  fintech: 'key-of-a-fintech',
} as const
export const PASSWORD = 'password-of-customers'

type Headers = Readonly<Record<string, string>>

/** Starts the services and the gateway in front of them, as `main.ts` does, without its output. Ada has signed in. */
export async function openShop(options: Omit<ShopOptions, 'keyServer' | 'customerPassword'> = {}) {
  const issuer = internalIssuer({ issuer: 'https://gateway.shop.example' })
  const keyServer: KeyServer = await serveKeys(issuer)
  const shop: Shop = await startShop({ ...options, keyServer, customerPassword: PASSWORD })
  const { app, gw } = createApp(shop.targets, { keys: keyTable(KEYS), issuer, logger: false })
  const server = gw.attach(createServer(app))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const login = (email: string, password: string = PASSWORD): Promise<Reply> =>
    request(`${url}/accounts/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    })
  /** @returns the token */
  async function signIn(email: string): Promise<string> {
    const reply = await login(email)
    if (reply.status !== 200) throw new Error(`${email} did not get in: ${reply.status} ${reply.text}`)
    return (reply.json() as { access_token: string }).access_token
  }
  const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })
  const ada = bearer(await signIn('ada@example.com'))

  return {
    shop,
    gw,
    url,
    issuer,
    login,
    signIn,
    bearer,
    /** What Ada shows. */
    ada,
    /** Asks without credentials, unless the headers have some. */
    get: (path: string, headers: Headers = {}): Promise<Reply> => request(url + path, { headers: { ...headers } }),
    post: (path: string, body: unknown, headers: Headers = {}): Promise<Reply> =>
      request(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    /** Buys one piece unless the order says otherwise. @param who Ada, unless told otherwise */
    pay: (key: string, order: { sku: string; quantity?: number; card: string }, who: Headers = ada): Promise<Reply> =>
      request(`${url}/payments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key, ...who },
        body: JSON.stringify(order),
      }),
    /** What is left of a thing, as customers see it. */
    async stockOf(sku: string): Promise<{ available: number; reserved: number }> {
      const reply = await request(`${url}/inventory/stock/${sku}`, { headers: { ...ada } })
      return reply.json() as { available: number; reserved: number }
    },
    /** Order events. @param who Ada, unless told otherwise */
    listen: (who: Headers = ada): Promise<ConnectedWebSocket> =>
      connectWebSocket(`${url}/events`, [], { headers: { ...who } }),
    /** Changes a price, as staff do. */
    setPrice: (sku: string, priceCents: number, who: Headers = { 'x-api-key': KEYS.staff }): Promise<Reply> =>
      request(`${url}/products/${sku}/price`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', ...who },
        body: JSON.stringify({ priceCents }),
      }),
    async close(): Promise<void> {
      await gw.close()
      await shop.close()
      keyServer.close()
    },
  }
}

export type OpenShop = Awaited<ReturnType<typeof openShop>>
