import { proxy } from '@postern/proxy'
import { startUpstream, type Upstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { hashApiKey } from '../../src/api-key/generate.ts'
import type { AuthenticateOptions } from '../../src/authenticate/options.ts'
import { jwt } from '../../src/jwt/jwt.ts'
import { apiKey, basic } from '../../src/schemes.ts'
import { type Api, afterwards, expectRefused, guarded, using } from '../support/api.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'

const KEY = 'shop_0123456789abcdef'
const BASIC = `Basic ${Buffer.from('bob:open sesame').toString('base64')}`

interface Gateway extends Api {
  readonly upstream: Upstream
  readonly issuer: Issuer
}

async function gateway(options: AuthenticateOptions): Promise<Gateway> {
  const upstream = await using(startUpstream())
  const issuer = await using(startIssuer())
  const forward = proxy({ target: upstream.url })
  afterwards(() => forward.close({ graceMs: 1_000 }))
  const strategies = [
    jwt({
      issuer: issuer.url,
      audience: 'api',
      algorithms: ['RS256'],
      jwksUri: { uri: issuer.jwksUri, allowHttp: true },
      from: ['header', { cookie: 'session' }],
    }),
    apiKey({
      keys: [{ id: 'k', hash: hashApiKey(KEY), subject: 'partner' }],
      from: [{ header: 'x-api-key' }, { query: 'api_key' }],
    }),
    basic({ verify: (name, password) => name === 'bob' && password === 'open sesame' }),
  ]
  const app = await guarded(strategies, { ...options, last: forward as never })
  return Object.defineProperties({ upstream, issuer } as Gateway, Object.getOwnPropertyDescriptors(app))
}

/** All that the upstream could read a secret from. */
function seen({ upstream }: Gateway): string {
  const { url, rawHeaders } = upstream.last
  return `${url}\n${rawHeaders.join('\n')}`
}

describe("credentials: 'drop'", () => {
  test('the upstream sees nothing of what the client has shown, and all that it has sent beside it', async () => {
    const app = await gateway({ credentials: 'drop' })
    const token = await app.issuer.sign()
    const cookie = `a=1; session=${token}; b=2`
    expect((await app.ask({ cookie, accept: 'x/y' }, { path: '/p?q=1&r=%20' })).status).toBe(200)
    expect(app.upstream.last.headers).toMatchObject({ cookie: 'a=1; b=2', accept: 'x/y' })
    expect(app.upstream.last.url).toBe('/p?q=1&r=%20')
    expect((await app.bear(token)).status).toBe(200)
    expect(seen(app)).not.toContain(token)
    expect((await app.ask({}, { path: `/p?q=1&api_key=${KEY}&r=2` })).status).toBe(200)
    expect(app.upstream.last.url).toBe('/p?q=1&r=2')
    expect((await app.ask({ authorization: BASIC })).status).toBe(200)
    expect(app.upstream.last.headers.authorization).toBe(undefined)
  })

  // A client may show a key beside its token by mistake, or to have it logged elsewhere. It was not asked, and is no good to anybody.
  test('what belongs to schemes that were not asked goes as well', async () => {
    const app = await gateway({ credentials: 'drop' })
    const token = await app.issuer.sign()
    expect(
      (await app.ask({ authorization: `Bearer ${token}`, 'X-API-Key': KEY }, { path: `/?api_key=${KEY}` })).status,
    ).toBe(200)
    expect(seen(app)).not.toContain(KEY)
    expect(seen(app)).not.toContain(token)
  })

  test('also of those who pass as nobody', async () => {
    const app = await gateway({ credentials: 'drop', optional: true })
    expect((await app.ask({ authorization: 'Digest secret-response' })).status).toBe(200)
    expect(seen(app)).not.toContain('secret-response')
  })
})

test("credentials: 'pass', the default, leaves everything as it came", async () => {
  const app = await gateway({})
  const token = await app.issuer.sign()
  expect(
    (await app.ask({ authorization: `Bearer ${token}`, cookie: 'a=1' }, { path: `/?api_key=${KEY}` })).status,
  ).toBe(200)
  expect(app.upstream.last.headers).toMatchObject({ authorization: `Bearer ${token}`, cookie: 'a=1' })
  expect(app.upstream.last.url).toBe(`/?api_key=${KEY}`)
})

test('who is refused does not get through to the upstream', async () => {
  const app = await gateway({})
  for (const headers of [
    {},
    { authorization: 'Bearer x.y.z' },
    { 'x-api-key': 'other' },
    { authorization: 'Basic x' },
  ]) {
    expect((await app.ask(headers as never)).status).toBe(401)
  }
  expect([app.upstream.requests.length, app.upstream.connections]).toEqual([0, 0])
})

// E15: whoever tries keys out must not learn which of them has ever been one.
test('an unknown key, one that is nearly right, one that has run out and one that does not begin yet get one and the same answer', async () => {
  const record = (id: string, more: object = {}) => ({ id, hash: hashApiKey(KEY + id), subject: id, ...more })
  const keys = [
    record('good'),
    record('old', { expiresAt: Date.now() - 1_000 }),
    record('new', { notBefore: Date.now() + 1e9 }),
  ]
  const app = await guarded(apiKey({ keys, prefix: 'shop_' }), { failureLimit: false })
  expect((await app.ask({ 'x-api-key': `${KEY}good` })).status).toBe(200)
  const attempts = [
    `${KEY}goof`,
    `${KEY}goo`,
    `${KEY}goodd`,
    `${KEY}old`,
    `${KEY}new`,
    'shop_',
    'other',
    hashApiKey(`${KEY}good`),
  ]
  for (const key of attempts) {
    const challenge = 'ApiKey realm="api", error="invalid_token", error_description="The credentials do not hold"'
    expectRefused(await app.ask({ 'x-api-key': key }), 'invalid_credentials', challenge)
  }
  expect(app.reached).toBe(1)
})
