import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gateway } from '@postern/gateway'
import { eventually, refusedPort, request, serve } from '@postern/test-kit'
import { expect, test } from 'vitest'
import { createApp } from '../src/services/payments/app.ts'
import { createCheckout } from '../src/services/payments/checkout.ts'
import { openPaymentStore } from '../src/services/payments/store.ts'
import { portFrom, restartMsFrom, staffKeyFrom } from '../src/settings.ts'
import { watch } from '../src/watch.ts'

test('payments is healthy while its database answers, and not afterwards', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-shop-test-'))
  const store = openPaymentStore(join(folder, 'payments.sqlite'))
  const inventory = { reserve: async () => 1, release: async () => {} }
  const service = await serve(
    createApp(
      'payments',
      store,
      createCheckout(store, inventory, () => {}),
    ),
  )
  try {
    const well = await request(`${service.url}/healthz`)
    expect([well.status, well.json()]).toMatchObject([200, { status: 'ok' }])
    store.close()
    const failing = await request(`${service.url}/healthz`)
    expect([failing.status, failing.json()]).toEqual([503, { status: 'failing', instance: 'payments' }])
  } finally {
    await service.close()
    await rm(folder, { recursive: true })
  }
})

test('an order that was cut short takes up the stock and the charge where it left them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-shop-test-'))
  const path = join(folder, 'payments.sqlite')
  const killed = openPaymentStore(path)
  const reservation = killed.begin('order-1')
  killed.close()

  const store = openPaymentStore(path)
  const reserved: string[] = []
  const inventory = { reserve: async ({ id }: { id: string }) => reserved.push(id), release: async () => {} }
  const { pay } = createCheckout(store, inventory, () => {})
  try {
    const order = { sku: 'mug-blue', quantity: 1, card: '4242424242424242' }
    expect((await pay('order-1', order)).isReplay).toBe(false)
    expect(await pay('order-1', order)).toMatchObject({ isReplay: true, payment: { status: 'paid' } })
    await pay('order-2', order)
    expect(reserved).toHaveLength(2)
    expect(reserved[0]).toBe(reservation)
    expect(reserved[1]).not.toBe(reservation)
  } finally {
    store.close()
    await rm(folder, { recursive: true })
  }
})

test('the watch tells of a circuit and of the last target of an upstream, and of no other upstream', async () => {
  const dead = await refusedPort()
  const gw = gateway({
    upstreams: {
      payments: { targets: [{ id: 'payments', url: dead.url }], retries: false, breaker: { consecutiveFailures: 2 } },
      other: { targets: [dead.url], retries: false },
    },
    routes: [
      { path: '/payments', upstream: 'payments' },
      { path: '/other', upstream: 'other' },
    ],
    logger: false,
  })
  const lines: string[] = []
  const { payments } = gw.upstreams
  const unwatch = watch({ payments }, (line) => lines.push(line))
  const service = await serve(gw)
  gw.attach(service.server)
  try {
    await request(`${service.url}/other`)
    await eventually(async () => {
      await request(`${service.url}/payments`)
      expect(lines).toContainEqual(
        expect.stringMatching(/^circuit of payments open for [01]\.\d s: no request goes there$/),
      )
    })
    expect(lines[0]).toBe('payments is unreachable: nobody takes over')
    gw.parts.payments.breaker!.reset()
    expect(lines.slice(2)).toEqual(['circuit of payments closed'])
    unwatch()
    gw.parts.payments.breaker!.isolate()
    gw.parts.payments.breaker!.reset()
    expect(lines).toHaveLength(3)
  } finally {
    unwatch()
    await service.close()
    await gw.close()
    dead.close()
  }
})

test('settings that cannot be read are refused with what was wanted', () => {
  expect([portFrom(undefined, 8080), portFrom('', 8080), portFrom('0', 8080)]).toEqual([8080, 8080, 0])
  expect([restartMsFrom(undefined), restartMsFrom('250'), restartMsFrom('off')]).toEqual([5_000, 250, undefined])
  expect(staffKeyFrom('chosen-by-hand')).toBe('chosen-by-hand')
  expect(staffKeyFrom(undefined)).toMatch(/^[0-9a-f]{24}$/)
  expect(staffKeyFrom('')).not.toBe(staffKeyFrom(''))
  expect(() => staffKeyFrom('secret')).toThrow('STAFF_KEY must be 12 to 128 characters')
  expect(() => portFrom('65536', 8080)).toThrow('PORT must be a number from 0 to 65535, got "65536"')
  expect(() => restartMsFrom('5s')).toThrow('RESTART_MS must be "off" or a number from 0 to 3600000, got "5s"')
})
