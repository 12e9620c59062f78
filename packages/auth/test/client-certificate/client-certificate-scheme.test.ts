import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock, Exchange } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ProviderFailure, providerFailed } from '../../src/channels.ts'
import { ClientCertificateScheme } from '../../src/client-certificate/client-certificate-scheme.ts'
import { type ClientCertificateOptions, resolveClientCertificateOptions } from '../../src/client-certificate/options.ts'
import { keptConnection, servedBy } from './served.ts'
import { authority, derOf, type Pair } from './support.ts'

const ca = authority()
const billing = ca.issue({ subject: [['CN', 'billing']], san: [['uri', 'spiffe://example.org/billing']] })
const orders = ca.issue({ subject: [['CN', 'orders']] })
const stranger = authority('Elsewhere').issue({ subject: [['CN', 'billing']] })

function schemeOf(options?: ClientCertificateOptions): ClientCertificateScheme {
  return new ClientCertificateScheme(resolveClientCertificateOptions(options))
}

/** What `authenticate()` does with a scheme, told in short. */
async function told(
  scheme: ClientCertificateScheme,
  req: IncomingMessage,
  exchange: Exchange,
): Promise<Record<string, unknown>> {
  const found = scheme.find(req, exchange)
  if (found === undefined) return { outcome: 'none' }
  if (typeof found !== 'string') return { ...found }
  const recalled = scheme.recall(found)
  const verdict = recalled ?? (await scheme.verify(found, req))
  if (verdict.outcome === 'unavailable') return { outcome: verdict.outcome, reason: verdict.reason }
  if (verdict.outcome === 'refused') return { ...verdict }
  const { identity, user } = verdict
  return { outcome: 'verified', recalled: recalled !== undefined, user, ...identity }
}

function mutualTls(scheme: ClientCertificateScheme) {
  return servedBy((req, exchange) => told(scheme, req, exchange), { ca: ca.cert })
}

function behindProxy(scheme: ClientCertificateScheme, trust: string | boolean = 'loopback') {
  return servedBy((req, exchange) => told(scheme, req, exchange), { trust })
}

/** The value of RFC 9440 §2.1. */
function field({ cert }: Pair): string {
  return `:${derOf(cert).toString('base64')}:`
}

class HandClock implements Clock {
  ms = 0
  readonly #start = Date.now()
  now(): number {
    return this.ms
  }
  wallNow(): number {
    return this.#start + this.ms
  }
}

describe('a certificate of the connection', () => {
  it('says who is calling', async () => {
    const { ask } = await mutualTls(schemeOf())
    const fingerprint256 = hash('sha256', derOf(billing.cert), 'hex')
    expect(await ask({ client: billing })).toMatchObject({
      outcome: 'verified',
      scheme: 'client-certificate',
      subject: 'billing',
      scopes: [],
      roles: [],
      claims: {
        subject: { CN: 'billing' },
        issuer: { CN: 'Test CA' },
        serialNumber: expect.stringMatching(/^[0-9A-F]+$/),
        fingerprint256,
        san: { dns: [], uri: ['spiffe://example.org/billing'], email: [], ip: [] },
        validTo: expect.stringMatching(/^\d{4}-.*Z$/),
        exp: expect.any(Number),
      },
    })
  })

  it('is none when the client shows none', async () => {
    const { ask } = await mutualTls(schemeOf())
    expect(await ask()).toEqual({ outcome: 'none' })
  })

  it('is refused when no known authority signed it', async () => {
    const { ask } = await mutualTls(schemeOf())
    expect(await ask({ client: stranger })).toMatchObject({ outcome: 'refused', reason: 'unauthorized' })
  })

  it('is refused on one connection though it is remembered from another where it was good', async () => {
    const scheme = schemeOf()
    const here = await mutualTls(scheme)
    const elsewhere = await servedBy((req, exchange) => told(scheme, req, exchange), {
      ca: authority('Not the one').cert,
    })
    expect(await here.ask({ client: billing })).toMatchObject({ outcome: 'verified' })
    expect(await elsewhere.ask({ client: billing })).toMatchObject({ outcome: 'refused', reason: 'unauthorized' })
  })

  it('is there on plain HTTP as little as it can be', async () => {
    const { ask } = await servedBy((req, exchange) => told(schemeOf(), req, exchange))
    expect(await ask({ headers: { 'client-cert': field(billing) } })).toEqual({ outcome: 'none' })
  })

  it('is read once for many requests and connections', async () => {
    let asked = 0
    const { ask } = await mutualTls(schemeOf({ roles: () => [`asked ${++asked}`] }))
    const agent = keptConnection()
    expect(await ask({ client: billing, agent })).toMatchObject({ recalled: false })
    for (let i = 0; i < 3; i++) expect(await ask({ client: billing, agent })).toMatchObject({ recalled: true })
    expect(await ask({ client: billing })).toMatchObject({ recalled: true, roles: ['asked 1'] })
    expect(asked).toBe(1)
  })

  it('ends when its dates do, also on a connection that is open', async () => {
    const clock = new HandClock()
    const short = ca.issue({
      subject: [['CN', 'short']],
      fromMs: Date.now() - 60_000,
      toMs: Date.now() + 60_000,
    })
    const { ask } = await mutualTls(schemeOf({ clock, cacheMs: 2 ** 31 - 1 }))
    const agent = keptConnection()
    expect(await ask({ client: short, agent })).toMatchObject({ outcome: 'verified' })
    clock.ms = 120_000
    expect(await ask({ client: short, agent })).toMatchObject({ outcome: 'refused', reason: 'expired' })
    clock.ms = -120_000
    expect(await ask({ client: short, agent })).toMatchObject({ outcome: 'refused', reason: 'not-yet-valid' })
  })

  it('must fulfil the rules, every time it comes', async () => {
    const { ask } = await mutualTls(schemeOf({ subject: 'orders' }))
    const refusal = { outcome: 'refused', error: 'invalid_token', reason: 'subject', isGuess: false }
    expect(await ask({ client: billing })).toEqual(refusal)
    expect(await ask({ client: billing })).toEqual(refusal)
    expect(await ask({ client: orders })).toMatchObject({ outcome: 'verified', subject: 'orders' })
  })
})

describe('the caller', () => {
  const cases = [
    ['cn', 'billing'],
    ['dn', 'CN=billing'],
    ['san-uri', 'spiffe://example.org/billing'],
    ['fingerprint', hash('sha256', derOf(billing.cert), 'hex')],
    [(certificate: { serialNumber: string }) => `serial ${certificate.serialNumber.length > 0}`, 'serial true'],
  ] as const
  it.each(cases)('is named by %s', async (subjectFrom, subject) => {
    const { ask } = await mutualTls(schemeOf({ subjectFrom }))
    expect(await ask({ client: billing })).toMatchObject({ outcome: 'verified', subject })
  })

  it('is nobody when the certificate names none, or two', async () => {
    const two = ca.issue({
      subject: [
        ['CN', 'guest'],
        ['CN', 'admin'],
      ],
    })
    const none = ca.issue()
    const { ask } = await mutualTls(schemeOf())
    for (const client of [two, none]) {
      expect(await ask({ client })).toMatchObject({ outcome: 'refused', reason: 'no-subject' })
    }
    const byUri = await mutualTls(schemeOf({ subjectFrom: 'san-uri' }))
    expect(await byUri.ask({ client: orders })).toMatchObject({ outcome: 'refused', reason: 'no-subject' })
  })

  it('has the roles and scopes that functions give, until the memory of them ends', async () => {
    const clock = new HandClock()
    let role = 'reader'
    const { ask } = await mutualTls(
      schemeOf({ clock, cacheMs: 1_000, roles: () => [role], scopes: ({ subject }) => [`of ${String(subject.CN)}`] }),
    )
    expect(await ask({ client: billing })).toMatchObject({ roles: ['reader'], scopes: ['of billing'] })
    role = 'writer'
    expect(await ask({ client: billing })).toMatchObject({ roles: ['reader'] })
    clock.ms = 1_000
    expect(await ask({ client: billing })).toMatchObject({ roles: ['writer'] })
  })

  it('is found in req.user as the application wants it, at once or later', async () => {
    const now = await mutualTls(schemeOf({ user: ({ subject }) => ({ id: subject }) }))
    expect(await now.ask({ client: billing })).toMatchObject({ user: { id: 'billing' } })
    const later = await mutualTls(schemeOf({ user: async ({ subject }) => (subject === 'orders' ? null : { id: 7 }) }))
    expect(await later.ask({ client: billing })).toMatchObject({ user: { id: 7 } })
    expect(await later.ask({ client: orders })).toMatchObject({ outcome: 'refused', reason: 'no-user' })
  })

  it('cannot be told when a function of the application fails, and is asked for again', async () => {
    const failures: ProviderFailure[] = []
    const listener = (failure: ProviderFailure): void => void failures.push(failure)
    providerFailed.subscribe(listener)
    try {
      const boom = () => {
        throw new Error('boom')
      }
      const wrong = () => 'admin' as unknown as string[]
      for (const options of [{ roles: boom }, { scopes: wrong }, { subjectFrom: boom }]) {
        const { ask } = await mutualTls(schemeOf(options))
        expect(await ask({ client: billing })).toEqual({ outcome: 'unavailable', reason: 'function-threw' })
      }
      let works = false
      const { ask } = await mutualTls(schemeOf({ user: async () => (works ? 'someone' : boom()) }))
      expect(await ask({ client: billing })).toEqual({ outcome: 'unavailable', reason: 'user' })
      works = true
      expect(await ask({ client: billing })).toMatchObject({ outcome: 'verified', user: 'someone' })
      expect(failures).toHaveLength(4)
    } finally {
      providerFailed.unsubscribe(listener)
    }
  })
})

describe('a certificate that a proxy tells of', () => {
  it('says who is calling when the proxy is trusted', async () => {
    const { ask } = await behindProxy(schemeOf({ header: 'client-cert' }))
    const headers = { 'Client-Cert': field(billing) }
    expect(await ask({ headers })).toMatchObject({ outcome: 'verified', subject: 'billing', recalled: false })
    expect(await ask({ headers })).toMatchObject({ outcome: 'verified', subject: 'billing', recalled: true })
    expect(await ask()).toEqual({ outcome: 'none' })
    expect(await ask({ headers: { 'client-cert': '' } })).toEqual({ outcome: 'none' })
  })

  it('is not read when the peer is not trusted, or the option is off', async () => {
    const headers = { 'client-cert': field(billing) }
    const untrusted = await behindProxy(schemeOf({ header: 'client-cert' }), '10.0.0.0/8')
    expect(await untrusted.ask({ headers })).toEqual({ outcome: 'none' })
    const off = await behindProxy(schemeOf())
    expect(await off.ask({ headers })).toEqual({ outcome: 'none' })
  })

  // A proxy with mutual TLS of its own would otherwise stand for every client that came without a certificate.
  it('is never replaced by the certificate of the proxy', async () => {
    const scheme = schemeOf({ header: 'client-cert' })
    const options = { ca: ca.cert, trust: 'loopback' }
    const { ask } = await servedBy((req, exchange) => told(scheme, req, exchange), options)
    expect(await ask({ client: orders })).toEqual({ outcome: 'none' })
    expect(await ask({ client: orders, headers: { 'client-cert': field(billing) } })).toMatchObject({
      subject: 'billing',
    })
  })

  it('is read as URL-encoded PEM from a header of the proxy’s choice', async () => {
    const { ask } = await behindProxy(schemeOf({ header: { name: 'X-SSL-Client-Cert', format: 'pem' } }))
    // AWS leaves `+`, `=` and `/` as they are.
    const spellings = [
      encodeURIComponent(billing.cert),
      encodeURIComponent(billing.cert.replaceAll('\n', '\r\n')),
      encodeURIComponent(billing.cert).replaceAll('%2B', '+').replaceAll('%2F', '/').replaceAll('%3D', '='),
    ]
    for (const value of spellings) {
      expect(await ask({ headers: { 'x-ssl-client-cert': value } })).toMatchObject({ subject: 'billing' })
    }
    const both = encodeURIComponent(billing.cert + orders.cert)
    for (const value of [
      both,
      encodeURIComponent(billing.key),
      '%',
      '%ff',
      field(billing),
      billing.cert.slice(0, 27),
    ]) {
      expect(await ask({ headers: { 'x-ssl-client-cert': value } }), value).toMatchObject({ reason: 'malformed' })
    }
  })

  it('is refused when it is there twice', async () => {
    const { ask } = await behindProxy(schemeOf({ header: 'client-cert' }))
    const headers = ['Host', 'here', 'Client-Cert', field(billing), 'client-cert', field(billing)]
    expect(await ask({ headers })).toEqual({
      outcome: 'refused',
      error: 'invalid_request',
      reason: 'ambiguous',
      isGuess: false,
    })
  })

  it('is refused when it is anything but one certificate', async () => {
    const { ask } = await behindProxy(schemeOf({ header: 'client-cert' }))
    const der = derOf(billing.cert)
    const bytes = (...parts: Uint8Array[]): string => `:${Buffer.concat(parts).toString('base64')}:`
    const values = [
      der.toString('base64'),
      `"${der.toString('base64')}"`,
      `${field(billing)}, ${field(orders)}`,
      `:${der.toString('base64').slice(0, -8)}:`,
      bytes(der, Buffer.of(0)),
      bytes(der, derOf(orders.cert)),
      bytes(Buffer.from(billing.cert)),
      bytes(Buffer.from('certificate')),
      '::',
      ':',
      'true',
      '1',
    ]
    for (const value of values) {
      expect(await ask({ headers: { 'client-cert': value } }), value).toMatchObject({ reason: 'malformed' })
    }
    expect(await ask({ headers: { 'client-cert': `:${'A'.repeat(15_000)}:` } })).toMatchObject({
      reason: 'malformed',
    })
  })

  it('is its own or none with any byte changed', async () => {
    const { ask } = await behindProxy(
      schemeOf({ header: 'client-cert', fingerprints: hash('sha256', derOf(billing.cert), 'hex') }),
    )
    const der = derOf(billing.cert)
    await fc.assert(
      fc.asyncProperty(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = Buffer.from(der)
        changed[at]! ^= change
        const headers = { 'client-cert': `:${changed.toString('base64')}:` }
        expect(await ask({ headers })).toMatchObject({ outcome: 'refused' })
      }),
      { numRuns: 60 },
    )
  })

  // Node's `toLegacyObject()` ended the whole process for such a certificate: one request, and the gateway was gone.
  it('may have a public key of a kind that nobody here knows', async () => {
    const { ask } = await behindProxy(schemeOf({ header: 'client-cert' }))
    const der = Buffer.from(derOf(billing.cert))
    der[der.indexOf(Buffer.from('2a8648ce3d0201', 'hex')) + 6] = 0x7f
    expect(await ask({ headers: { 'client-cert': `:${der.toString('base64')}:` } })).toMatchObject({
      outcome: 'verified',
      subject: 'billing',
    })
  })

  it('whatever else it is, answers without a throw', async () => {
    const scheme = schemeOf({ header: 'client-cert' })
    const { ask } = await behindProxy(scheme)
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 64 }), async (value) => {
        const answer = await ask({ headers: { 'client-cert': `:${value}` } })
        expect(answer).toMatchObject({ outcome: 'refused', reason: 'malformed' })
      }),
      { numRuns: 60 },
    )
  })
})

describe('what goes upstream', () => {
  const reserved = (scheme: ClientCertificateScheme) => (req: IncomingMessage, exchange: Exchange) => {
    scheme.find(req, exchange)
    return [...(exchange.outgoing.reserved ?? [])]
  }

  it('has none of what a client itself says about certificates', async () => {
    const header = { name: 'X-Cert', format: 'pem' } as const
    const plain = await servedBy(reserved(schemeOf()))
    expect(await plain.ask()).toEqual(['client-cert', 'client-cert-chain'])
    const named = await servedBy(reserved(schemeOf({ header })))
    expect(await named.ask()).toEqual(['client-cert', 'client-cert-chain', 'x-cert'])
  })

  it('has what a trusted proxy says, until it is dropped', async () => {
    const scheme = schemeOf({ header: 'client-cert' })
    const kept = await servedBy(reserved(scheme), { trust: 'loopback' })
    expect(await kept.ask({ headers: { 'client-cert': field(billing) } })).toEqual([])
    const dropped = await servedBy(
      (req, exchange) => {
        scheme.strip(req, exchange)
        return [...exchange.outgoing.reserved!]
      },
      { trust: 'loopback' },
    )
    expect(await dropped.ask()).toEqual(['client-cert', 'client-cert-chain'])
  })
})

describe('the challenge', () => {
  it('names the realm, and says no more than an RFC 6750 challenge does', () => {
    const scheme = schemeOf({ realm: 'orders' })
    expect(scheme.challenge()).toBe('ClientCertificate realm="orders"')
    expect(scheme.challenge('insufficient_scope', 'a b')).toMatch(
      /^ClientCertificate realm="orders", error="insufficient_scope", error_description="[^"]+", scope="a b"$/,
    )
  })
})
