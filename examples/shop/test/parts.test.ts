import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gateway } from '@postern/gateway'
import { eventually, refusedPort, request, serve } from '@postern/test-kit'
import { expect, test } from 'vitest'
import { isPassword } from '../src/services/accounts/passwords.ts'
import { openAccountStore } from '../src/services/accounts/store.ts'
import { createTokens } from '../src/services/accounts/tokens.ts'
import { createApp } from '../src/services/payments/app.ts'
import { createCheckout } from '../src/services/payments/checkout.ts'
import { openPaymentStore } from '../src/services/payments/store.ts'
import { keyFrom, passwordFrom, portFrom, restartMsFrom } from '../src/settings.ts'
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
      async () => ({ subject: 'customer-1', scopes: [], roles: [] }),
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
  const reservation = killed.begin({ customer: 'customer-1', key: 'order-1' })
  killed.close()

  const store = openPaymentStore(path)
  const reserved: string[] = []
  const inventory = { reserve: async ({ id }: { id: string }) => reserved.push(id), release: async () => {} }
  const { pay } = createCheckout(store, inventory, () => {})
  try {
    const order = { sku: 'mug-blue', quantity: 1, card: '4242424242424242' }
    const first = { customer: 'customer-1', key: 'order-1' }
    expect((await pay(first, order)).isReplay).toBe(false)
    expect(await pay(first, order)).toMatchObject({ isReplay: true, payment: { status: 'paid' } })
    await pay({ customer: 'customer-1', key: 'order-2' }, order)
    expect(reserved).toHaveLength(2)
    expect(reserved[0]).toBe(reservation)
    expect(reserved[1]).not.toBe(reservation)
  } finally {
    store.close()
    await rm(folder, { recursive: true })
  }
})

test('two customers who choose the same key make two payments, at the same time as well', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-shop-test-'))
  const store = openPaymentStore(join(folder, 'payments.sqlite'))
  const inventory = { reserve: async () => 1, release: async () => {} }
  const { pay } = createCheckout(store, inventory, () => {})
  try {
    const order = { sku: 'mug-blue', quantity: 1, card: '4242424242424242' }
    const made = await Promise.all(
      ['customer-1', 'customer-2'].map((customer) => pay({ customer, key: 'order-1' }, order)),
    )
    expect(made.map(({ isReplay, payment }) => [isReplay, payment.customer])).toEqual([
      [false, 'customer-1'],
      [false, 'customer-2'],
    ])
    expect(made[0]!.payment.id).not.toBe(made[1]!.payment.id)
  } finally {
    store.close()
    await rm(folder, { recursive: true })
  }
})

test('accounts keep their key and their passwords when they are started again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-shop-test-'))
  const path = join(folder, 'accounts.sqlite')
  const before = openAccountStore(path, 'the first password')
  const jwks = await createTokens(before.key).jwks()
  before.close()
  const after = openAccountStore(path, 'another password')
  try {
    expect(await createTokens(after.key).jwks()).toEqual(jwks)
    // What is published is the public half.
    expect(Object.keys(jwks.keys[0]!).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    const { password } = after.find('Ada@example.com')!
    expect(await isPassword('the first password', password)).toBe(true)
    expect(await isPassword('another password', password)).toBe(false)
    expect(await isPassword('the first password', undefined)).toBe(false)
  } finally {
    after.close()
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
  expect([keyFrom('chosen-by-hand', 'STAFF_KEY'), passwordFrom('chosen-by-hand')]).toEqual([
    'chosen-by-hand',
    'chosen-by-hand',
  ])
  expect(keyFrom(undefined, 'STAFF_KEY')).toMatch(/^shop_[0-9A-Za-z]{43}$/)
  expect(keyFrom('', 'STAFF_KEY')).not.toBe(keyFrom('', 'STAFF_KEY'))
  expect(passwordFrom(undefined)).toMatch(/^[0-9a-f]{24}$/)
  expect(() => keyFrom('secret', 'STAFF_KEY')).toThrow('STAFF_KEY must be 12 to 128 characters')
  expect(() => passwordFrom("it's mine, mine")).toThrow('CUSTOMER_PASSWORD must be 12 to 128 characters')
  expect(() => portFrom('65536', 8080)).toThrow('PORT must be a number from 0 to 65535, got "65536"')
  expect(() => restartMsFrom('5s')).toThrow('RESTART_MS must be "off" or a number from 0 to 3600000, got "5s"')
})
