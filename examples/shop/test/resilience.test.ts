import { existsSync } from 'node:fs'
import { Agent } from 'node:http'
import { connectWebSocket, eventually, type Reply, request } from '@postern/test-kit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CARDS } from '../src/services/payments/bank.ts'
import { type OpenShop, openShop } from './open-shop.ts'

describe('a shop that loses an instance', () => {
  let shop: OpenShop
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  beforeAll(async () => {
    shop = await openShop()
  })
  afterAll(async () => {
    agent.destroy()
    await shop.close()
  })

  const browse = (): Promise<Reply> => request(`${shop.url}/products/mug-blue`, { agent, timeoutMs: 1_000 })

  /** A whole 200, or a whole 502 of the gateway; anything else is not an answer to give. */
  function assertClean(reply: Reply): void {
    expect(reply.complete).toBe(true)
    if (reply.status === 200) {
      expect(reply.json()).toMatchObject({ sku: 'mug-blue' })
      return
    }
    expect(reply.status).toBe(502)
    expect(reply.headers['content-type']).toBe('application/problem+json')
    expect(reply.json()).toMatchObject({ status: 502, code: 'upstream_failed' })
  }

  test('answers each request within a second while one is killed: 200, or a clean 502', async () => {
    const victim = shop.shop.service('products-2')
    const replies: Reply[] = []
    let isKilled = false

    async function customer(): Promise<void> {
      while (replies.length < 600) {
        replies.push(await browse())
        if (replies.length >= 200 && !isKilled) {
          isKilled = true
          victim.kill()
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, customer))

    for (const reply of replies) assertClean(reply)
    expect(await victim.ended).toEqual({ code: null, signal: 'SIGKILL' })
    // Until it died every answer was good; afterwards its share fails, and the one that is left still serves.
    expect(replies.slice(0, 200).every((reply) => reply.status === 200)).toBe(true)
    expect(replies.some((reply) => reply.status === 502)).toBe(true)
    expect(replies.slice(-100).some((reply) => reply.headers['x-instance'] === 'products-1')).toBe(true)
  })

  test('answers 502 for the dead instance until somebody drains it, then all 200', async () => {
    const before = [await browse(), await browse()]
    expect(before.map((reply) => reply.status).sort()).toEqual([200, 502])
    expect(before.find((reply) => reply.status === 502)!.headers['proxy-status']).toContain('connection_refused')

    expect(await shop.gw.upstreams.products.drain('products-2', { timeoutMs: 1_000 })).toBe(true)
    const after = await Promise.all(Array.from({ length: 50 }, browse))
    expect(after.every((reply) => reply.status === 200 && reply.headers['x-instance'] === 'products-1')).toBe(true)
  })

  test('refuses payments without charging when the inventory is gone', async () => {
    const inventory = shop.shop.service('inventory')
    inventory.kill()
    await inventory.ended
    const reply = await shop.pay('nobody-knows', { sku: 'mug-blue', card: CARDS.good })
    expect(reply.status).toBe(503)
    expect(reply.json()).toMatchObject({ error: 'inventory_unavailable' })
  })
})

test('a shop that closes finishes what is under way and tells WebSockets to go away', async () => {
  const shop = await openShop()
  const folder = shop.shop.folder
  try {
    const listener = await connectWebSocket(`${shop.url}/events`)
    const slow = shop.pay('slow', { sku: 'mug-tall', card: CARDS.slow })
    await eventually(() => expect(shop.gw.upstreams.payments.targets[0]!.inFlight).toBe(2))

    const closed = shop.gw.close()
    expect(await listener.ended).toMatchObject({ code: 1001 })
    await expect(shop.get('/products')).rejects.toThrow('ECONNREFUSED')
    const reply = await slow
    expect(reply.status).toBe(201)
    expect(reply.complete).toBe(true)
    expect(reply.headers.connection).toBe('close')
    await closed
    expect(shop.gw.upstreams.payments.targets[0]!.inFlight).toBe(0)
  } finally {
    await shop.close()
  }
  expect(shop.shop.services.map((service) => service.end)).toEqual(Array(4).fill({ code: 0, signal: null }))
  expect(existsSync(folder)).toBe(false)
})
