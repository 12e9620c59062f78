import { connectWebSocket, eventually, HandshakeRefused, type Reply, request } from '@postern/test-kit'
import { decodeJwt, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CARDS } from '../src/services/payments/bank.ts'
import { KEYS, type OpenShop, openShop } from './open-shop.ts'

/** Why a handshake was refused. */
async function refusal(opened: Promise<unknown>): Promise<HandshakeRefused> {
  const error = await opened.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(HandshakeRefused)
  return error as HandshakeRefused
}

function codeOf(reply: Reply): unknown {
  return (reply.json() as { code?: string }).code
}

describe('who is calling', () => {
  let shop: OpenShop
  let ben: Readonly<Record<string, string>>
  const reseller = { 'x-api-key': KEYS.reseller }
  const fintech = { 'x-api-key': KEYS.fintech }
  beforeAll(async () => {
    shop = await openShop()
    ben = shop.bearer(await shop.signIn('ben@example.com'))
  })
  afterAll(() => shop.close())

  test('a customer signs in with email and password, and gets a token for a quarter of an hour', async () => {
    const reply = await shop.login('ada@example.com')
    expect([reply.status, reply.headers['cache-control']]).toEqual([200, 'no-store'])
    const { access_token: token, ...rest } = reply.json() as { access_token: string }
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 900 })
    const claims = decodeJwt(token)
    expect(claims).toMatchObject({ iss: 'https://accounts.shop.example', aud: 'shop', sub: 'customer-1' })
    expect(claims.exp! - claims.iat!).toBe(900)
    expect(claims).not.toHaveProperty('roles')
  })

  test('a wrong password and an unknown email are told the same', async () => {
    const wrong = await shop.login('ada@example.com', 'not-the-password')
    const unknown = await shop.login('nobody@example.com')
    expect([wrong.status, unknown.status, unknown.text]).toEqual([401, 401, wrong.text])
    expect((await shop.post('/accounts/login', { email: ['ada@example.com'], password: 1 })).status).toBe(400)
  })

  test('the catalogue is open; stock, payments and events ask who it is', async () => {
    expect((await shop.get('/products')).status).toBe(200)
    for (const path of ['/inventory/stock', '/inventory/stock/mug-blue', '/payments/1']) {
      const refused = await shop.get(path)
      expect([path, refused.status, codeOf(refused)]).toEqual([path, 401, 'authentication_required'])
      expect(refused.headers['www-authenticate']).toBe('Bearer realm="api", ApiKey realm="api"')
      expect(refused.headers).not.toHaveProperty('x-instance')
    }
    expect((await refusal(shop.listen({}))).status).toBe(401)
  })

  test('a token that is forged, changed, or the gateway’s own is refused', async () => {
    const stranger = new TextEncoder().encode('a secret of at least 32 characters')
    const claims = { iss: 'https://accounts.shop.example', aud: 'shop', sub: 'customer-1', scope: 'payments:read' }
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .setExpirationTime('1 min')
      .sign(stranger)
    const own = await shop.issuer.mint(
      { scheme: 'jwt', subject: 'customer-1', scopes: ['payments:read'], roles: [], claims: {} },
      'payments',
    )
    for (const token of [forged, own, `${shop.ada.authorization!.slice(7)}x`]) {
      const refused = await shop.get('/payments/1', shop.bearer(token))
      expect([refused.status, codeOf(refused)]).toEqual([401, 'invalid_credentials'])
    }
  })

  test('a customer sees his own payments and nobody else’s', async () => {
    const order = { sku: 'mug-tall', card: CARDS.good }
    const paid = await shop.pay('same-key', order)
    const other = await shop.pay('same-key', order, ben)
    expect([paid.status, other.status]).toEqual([201, 201])
    const { location } = paid.headers
    expect((await shop.get(location!, shop.ada)).json()).toMatchObject({ customer: 'customer-1', sku: 'mug-tall' })
    const hidden = await shop.get(location!, ben)
    const unknown = await shop.get('/payments/none', ben)
    expect([hidden.status, hidden.text]).toEqual([404, unknown.text])
  })

  test('partners do what their keys are for', async () => {
    const asked: [string, Record<string, string>, number][] = [
      ['/inventory/stock', reseller, 200],
      ['/inventory/stock', fintech, 403],
      ['/inventory/stock', shop.ada, 403],
      ['/payments/none', reseller, 403],
      ['/payments/none', fintech, 404],
      ['/inventory/stock/mug-blue', fintech, 200],
    ]
    for (const [path, who, status] of asked) {
      expect([path, who, (await shop.get(path, who)).status]).toEqual([path, who, status])
    }
    const order = { sku: 'note-dots', card: CARDS.good }
    const refused = await shop.pay('reseller', order, reseller)
    expect([refused.status, codeOf(refused), refused.headers['www-authenticate']]).toEqual([
      403,
      'insufficient_scope',
      expect.stringContaining('scope="payments:write"'),
    ])
    const paid = await shop.pay('fintech', order, fintech)
    expect([paid.status, paid.json()]).toMatchObject([201, { customer: 'partner-pennywise' }])
    expect((await shop.get(paid.headers.location!, shop.ada)).status).toBe(404)
    expect((await shop.post('/inventory/reservations', { sku: 'mug-blue' }, shop.ada)).status).toBe(403)
  })

  test('services take the gateway’s word alone: asked directly, with whatever a client has, they answer 401', async () => {
    const order = JSON.stringify({ sku: 'note-dots', card: CARDS.good })
    const forProducts = await shop.issuer.mint(
      { scheme: 'jwt', subject: 'customer-1', scopes: [], roles: ['staff'], claims: {} },
      'products',
    )
    const others = [{}, shop.ada, reseller, shop.bearer(forProducts), shop.bearer('x.y.z'), { authorization: 'Bearer' }]
    const [payments, inventory] = ['payments', 'inventory'].map((name) => shop.shop.service(name).url)
    for (const who of others) {
      const headers = { ...who, 'content-type': 'application/json', 'idempotency-key': 'direct' }
      const replies = [
        await request(`${payments}/payments`, { method: 'POST', headers, body: order }),
        await request(`${payments}/payments/1`, { headers }),
        await request(`${inventory}/stock`, { headers }),
        await request(`${inventory}/reservations/1`, { method: 'DELETE', headers }),
      ]
      expect([who, replies.map((reply) => reply.status)]).toEqual([who, [401, 401, 401, 401]])
      const listening = await refusal(connectWebSocket(`${payments}/events`, [], { headers: { ...who } }))
      expect(listening.status).toBe(401)
    }
    const price = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"priceCents":1}' }
    expect((await request(`${shop.shop.service('products-1').url}/products/mug-blue/price`, price)).status).toBe(401)
    for (const { url } of shop.shop.services) expect((await request(`${url}/healthz`)).status).toBe(200)
  })

  test('a token of the gateway opens the one service that it is for', async () => {
    const identity = { scheme: 'jwt', subject: 'customer-9', scopes: [], roles: [], claims: {} }
    const { url } = shop.shop.service('inventory')
    const token = await shop.issuer.mint(identity, 'inventory')
    expect((await request(`${url}/stock`, { headers: { ...shop.bearer(token) } })).status).toBe(200)
  })

  test('a page listens by the sub-protocol, and hears of its own orders alone', async () => {
    const token = shop.ada.authorization!.slice('Bearer '.length)
    const ada = await connectWebSocket(`${shop.url}/events`, ['bearer', token])
    expect(ada.protocol).toBe('bearer')
    await shop.pay('of-ben', { sku: 'note-plain', card: CARDS.good }, ben)
    // What is left is low, which is no customer's business.
    await shop.pay('of-ada', { sku: 'rug-wool', quantity: 2, card: CARDS.good })
    expect(JSON.parse((await ada.next()).data.toString())).toMatchObject({
      type: 'order.paid',
      payment: { customer: 'customer-1', sku: 'rug-wool' },
    })
    await shop.pay('of-ada-2', { sku: 'note-plain', card: CARDS.good })
    expect(JSON.parse((await ada.next()).data.toString())).toMatchObject({ payment: { sku: 'note-plain' } })
    await ada.close()

    expect((await refusal(connectWebSocket(`${shop.url}/events`, ['bearer', `${token}x`]))).status).toBe(401)
    expect((await refusal(shop.listen(reseller))).status).toBe(403)
  })
})

describe('a shop whose accounts are killed', () => {
  let shop: OpenShop
  beforeAll(async () => {
    shop = await openShop({ restartMs: 300 })
  })
  afterAll(() => shop.close())

  test('goes on selling to whoever is signed in, signs nobody in meanwhile, and knows its tokens when it is back', async () => {
    const order = { sku: 'note-dots', card: CARDS.good }
    const ben = shop.bearer(await shop.signIn('ben@example.com'))
    expect((await shop.pay('before', order)).status).toBe(201)
    const victim = shop.shop.service('accounts')
    victim.kill()
    await victim.ended

    expect((await shop.login('ada@example.com')).status).toBe(503)
    expect((await shop.pay('meanwhile', order)).status).toBe(201)
    // One who comes for the first time, too: the keys are known.
    expect((await shop.pay('meanwhile', order, ben)).status).toBe(201)

    await eventually(async () => expect((await shop.login('ada@example.com')).status).toBe(200), { timeoutMs: 10_000 })
    const again = shop.bearer(await shop.signIn('ada@example.com'))
    const paid = await shop.pay('after', order, again)
    expect(paid.status).toBe(201)
    // She is who she was, by both tokens.
    expect((await shop.get(paid.headers.location!, shop.ada)).text).toBe(paid.text)
  })
})
