import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { certificateBinding, peerThumbprint } from '../../src/client-certificate/binding.ts'
import { servedBy } from './served.ts'
import { authority, derOf, type Pair } from './support.ts'

const ca = authority()
const billing = ca.issue({ subject: [['CN', 'billing']] })
const orders = ca.issue({ subject: [['CN', 'orders']] })
const selfMade = authority('Elsewhere').issue()

function thumbprint({ cert }: Pair): string {
  return hash('sha256', derOf(cert), 'base64url')
}

function boundTo(client: Pair): Record<string, unknown> {
  return { sub: 'someone', cnf: { 'x5t#S256': thumbprint(client) } }
}

function asked(claims: Record<string, unknown>, header?: 'client-cert') {
  return (req: IncomingMessage) => ({ reason: certificateBinding(claims, req, header) ?? 'holds' })
}

const HOLDS = { reason: 'holds' }
const NOT_BOUND = { reason: 'certificate-binding' }

describe('a token that is bound to a certificate', () => {
  it('is good with that certificate alone', async () => {
    const { ask } = await servedBy(asked(boundTo(billing)), { ca: ca.cert })
    expect(await ask({ client: billing })).toEqual(HOLDS)
    expect(await ask({ client: orders })).toEqual(NOT_BOUND)
    expect(await ask()).toEqual(NOT_BOUND)
  })

  // RFC 8705 §2.2: the hash in the token is the proof; whoever signed the certificate is nobody's business.
  it('is good with a certificate that no known authority has signed', async () => {
    const { ask } = await servedBy(asked(boundTo(selfMade)), { ca: ca.cert })
    expect(await ask({ client: selfMade })).toEqual(HOLDS)
  })

  it('is good on plain HTTP only where a trusted proxy tells of the certificate', async () => {
    const headers = { 'client-cert': `:${derOf(billing.cert).toString('base64')}:` }
    const trusted = await servedBy(asked(boundTo(billing), 'client-cert'), { trust: 'loopback' })
    expect(await trusted.ask({ headers })).toEqual(HOLDS)
    expect(await trusted.ask()).toEqual(NOT_BOUND)
    expect(await trusted.ask({ headers: { 'client-cert': ':AAAA:' } })).toEqual(NOT_BOUND)
    const untrusted = await servedBy(asked(boundTo(billing), 'client-cert'))
    expect(await untrusted.ask({ headers })).toEqual(NOT_BOUND)
    const off = await servedBy(asked(boundTo(billing)), { trust: 'loopback' })
    expect(await off.ask({ headers })).toEqual(NOT_BOUND)
  })

  it('is not good with the certificate of the proxy', async () => {
    const { ask } = await servedBy(asked(boundTo(orders), 'client-cert'), { ca: ca.cert, trust: 'loopback' })
    expect(await ask({ client: orders })).toEqual(NOT_BOUND)
  })

  it('is not good with a hash that is no hash', async () => {
    for (const x5t of [undefined, null, '', 0, [thumbprint(billing)], `${thumbprint(billing)}=`, 'undefined']) {
      const { ask } = await servedBy(asked({ cnf: { 'x5t#S256': x5t } }), { ca: ca.cert })
      expect(await ask({ client: billing }), String(x5t)).toEqual(NOT_BOUND)
      expect(await ask(), String(x5t)).toEqual(NOT_BOUND)
    }
  })
})

describe('a token that is bound to anything else', () => {
  it('does not pass as a bearer token', async () => {
    const hash = thumbprint(billing)
    const confirmations = [
      { jkt: 'x' },
      { jwk: {} },
      { kid: '1' },
      {},
      [],
      null,
      'x',
      true,
      { 'x5t#S256': hash, jkt: 'x' },
      { 'x5t#s256': hash },
    ]
    for (const cnf of confirmations) {
      const { ask } = await servedBy(asked({ cnf }), { ca: ca.cert })
      expect(await ask({ client: billing }), JSON.stringify(cnf)).toEqual({ reason: 'unsupported-confirmation' })
    }
  })
})

describe('a token that is not bound', () => {
  it('is good with and without a certificate', async () => {
    const { ask } = await servedBy(asked({ sub: 'someone' }), { ca: ca.cert })
    expect(await ask({ client: billing })).toEqual(HOLDS)
    expect(await ask()).toEqual(HOLDS)
  })
})

describe('peerThumbprint()', () => {
  it('is the SHA-256 of the DER in base64url', async () => {
    const { ask } = await servedBy((req) => ({ thumbprint: peerThumbprint(req) }), { ca: ca.cert })
    expect(await ask({ client: billing })).toEqual({ thumbprint: thumbprint(billing) })
    expect(await ask()).toEqual({})
  })
})
