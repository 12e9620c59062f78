import { createHash, X509Certificate } from 'node:crypto'
import { certificates, type KeyAndCertificate, request } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import type { JwtOptions } from '../../src/jwt/options.ts'
import { expectInvalidToken, type JwtApi, jwtApi, welcomeOf } from '../support/api.ts'

const { ca, client, server, strangeClient } = certificates()

function thumbprint({ cert }: KeyAndCertificate): string {
  return createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')
}

async function mutual(options: Partial<JwtOptions> = {}): Promise<JwtApi> {
  const tls = { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: false }
  return jwtApi({ jwt: options, api: { tls } })
}

function show(app: JwtApi, token: string, holder?: KeyAndCertificate): ReturnType<typeof request> {
  return request(app.url, { headers: { authorization: `Bearer ${token}` }, ca: ca.cert, ...holder })
}

describe('tokens that are bound to a client certificate (RFC 8705 §3)', () => {
  test('are good for whoever holds the key of that certificate, and for nobody else, also once they are remembered', async () => {
    const app = await mutual()
    const bound = await app.issuer.sign({ cnf: { 'x5t#S256': thumbprint(client) } })
    for (let i = 0; i < 2; i++) {
      welcomeOf(await show(app, bound, client))
      // A thief has the token, and has no key to the certificate.
      expectInvalidToken(await show(app, bound))
      expectInvalidToken(await show(app, bound, strangeClient))
    }
    expect([app.strategy.remembered, app.reached]).toEqual([1, 2])
    expect(new Set(app.reasons)).toEqual(new Set(['certificate-binding']))
  })

  test('a certificate that nobody signed is proof enough of the key (§2.2)', async () => {
    const app = await mutual()
    const bound = await app.issuer.sign({ cnf: { 'x5t#S256': thumbprint(strangeClient) } })
    welcomeOf(await show(app, bound, strangeClient))
    expectInvalidToken(await show(app, bound, client))
  })

  test('tokens that are not bound pass, unless it is required', async () => {
    const relaxed = await mutual()
    welcomeOf(await show(relaxed, await relaxed.issuer.sign(), client))
    welcomeOf(await show(relaxed, await relaxed.issuer.sign()))
    const strict = await mutual({ certificateBound: 'required' })
    expectInvalidToken(await show(strict, await strict.issuer.sign(), client))
    welcomeOf(await show(strict, await strict.issuer.sign({ cnf: { 'x5t#S256': thumbprint(client) } }), client))
  })

  test('a binding that nobody here can check is not taken for none', async () => {
    const app = await mutual()
    const good = thumbprint(client)
    for (const cnf of [
      { jkt: good },
      { jwk: {} },
      {},
      null,
      'text',
      [],
      { 'x5t#S256': [good] },
      { 'x5t#S256': good, jkt: good },
      { 'x5t#S256': good.slice(0, -1) },
      { 'x5t#S256': '' },
    ]) {
      expectInvalidToken(await show(app, await app.issuer.sign({ cnf }), client))
    }
    expect(app.reached).toBe(0)
  })

  test('behind a proxy that ends TLS: its header counts when it is trusted, and is never read otherwise', async () => {
    const der = new X509Certificate(client.cert).raw.toString('base64')
    const headers = (token: string): Record<string, string> => ({
      authorization: `Bearer ${token}`,
      'client-cert': `:${der}:`,
    })
    const trusted = await jwtApi({ jwt: { certificateHeader: 'client-cert' }, api: { trust: 'loopback' } })
    const bound = { cnf: { 'x5t#S256': thumbprint(client) } }
    const token = await trusted.issuer.sign(bound)
    welcomeOf(await trusted.ask(headers(token)))
    expectInvalidToken(await trusted.bear(token))
    const untrusting = await jwtApi({ jwt: { certificateHeader: 'client-cert' } })
    expectInvalidToken(await untrusting.ask(headers(await untrusting.issuer.sign(bound))))
    const unasked = await jwtApi({ api: { trust: 'loopback' } })
    expectInvalidToken(await unasked.ask(headers(await unasked.issuer.sign(bound))))
  })
})
