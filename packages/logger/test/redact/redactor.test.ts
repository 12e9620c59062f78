import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRedactor } from '../../src/redact/redactor.ts'

const redactor = createRedactor({})
const QUERY_NAMES = [
  'access_token',
  'token',
  'id_token',
  'refresh_token',
  'code',
  'api_key',
  'apikey',
  'api-key',
  'key',
  'password',
  'passwd',
  'secret',
  'client_secret',
  'signature',
  'sig',
  'X-Amz-Signature',
  'X-Amz-Security-Token',
  'X-Amz-Credential',
  'user[password]',
  'user.password',
  'jsessionid',
  'client_assertion',
  'otp',
]
const HEADER_NAMES = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth',
  'x-csrf-token',
  'sec-websocket-protocol',
]

/** Long enough not to be found by chance, in what a client leaves unencoded. */
const secret = fc
  .array(fc.constantFrom(...'ABCXYZ0189-._~!$*(),;:@/?#+='), { minLength: 12, maxLength: 40 })
  .map((parts) => `Q${parts.join('')}Q`)
const urlSafeSecret = secret.map((text) => encodeURIComponent(text))

/** A name with any of its characters percent-encoded, in any case. */
const spelled = (name: string) =>
  fc.array(fc.integer({ min: 0, max: 5 }), { minLength: name.length, maxLength: name.length }).map((choices) =>
    [...name]
      .map((c, i) => {
        const hex = c.charCodeAt(0).toString(16).padStart(2, '0')
        return [c, c.toUpperCase(), `%${hex}`, `%25${hex}`, c, c][choices[i]!]
      })
      .join(''),
  )
const secretName = fc.constantFrom(...QUERY_NAMES).chain(spelled)
const harmless = fc.constantFrom('', '&', 'a=1&', 'page=2&sort=asc&', 'x&', 'q=a=b&', 'next=%2Fhome%3Fa%3D1&')

describe('secrets in a query', () => {
  it('never appear, however their name is spelled', () => {
    fc.assert(
      fc.property(harmless, secretName, secret, (before, name, value) => {
        const { path, query } = redactor.target(`/products?${before}${name}=${value}&z=9`)
        expect(`${path} ${query}`).not.toContain(value)
        expect(query).toContain('z=9')
      }),
      { numRuns: 2000 },
    )
  })

  it('never appear in a URL that is itself a parameter', () => {
    fc.assert(
      fc.property(secretName, urlSafeSecret, fc.integer({ min: 1, max: 3 }), (name, value, depth) => {
        let inner = `https://shop.example/cb?a=1&${name}=${value}`
        for (let i = 0; i < depth; i++) inner = encodeURIComponent(inner)
        const { query } = redactor.target(`/login?next=${inner}&z=9`)
        const decoded = decodedUntilStable(query!)
        expect(decoded).not.toContain(decodedUntilStable(value))
        expect(query).toContain('z=9')
      }),
      { numRuns: 1000 },
    )
  })

  it('never appear in Referer', () => {
    fc.assert(
      fc.property(harmless, secretName, secret, (before, name, value) => {
        expect(redactor.text(`https://shop.example/a?${before}${name}=${value}`)).not.toContain(value)
      }),
    )
  })

  it('leaves the rest of the query byte for byte', () => {
    expect(redactor.target('/a?page=2&%71=%E2%82%AC+x&token=abc&sort=asc').query).toBe(
      'page=2&%71=%E2%82%AC+x&token=[redacted]&sort=asc',
    )
    expect(redactor.target('/a?keyboard=1&codec=2&monkey=3&tokens').query).toBe('keyboard=1&codec=2&monkey=3&tokens')
  })

  it('keeps an empty query apart from none', () => {
    expect(redactor.target('/a?').query).toBe('')
    expect(redactor.target('/a').query).toBeUndefined()
  })

  it('takes names of the app’s own', () => {
    const own = createRedactor({ query: ['voucher_no', /^x-.*-pin$/i] })
    expect(own.target('/a?voucherNo=1&x-card-PIN=2&y=3').query).toBe('voucherNo=[redacted]&x-card-PIN=[redacted]&y=3')
  })
})

describe('secrets elsewhere in a URL', () => {
  it('are taken out of userinfo', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9:@!$&'()*+,;=._~-]{10,40}$/), (userinfo) => {
        const value = `P${userinfo}P`
        expect(redactor.text(`https://${value}@shop.example/x`)).not.toContain(value)
        expect(redactor.target(`http://${value}@shop.example/x`).path).toBe('/x')
        const { path, query } = redactor.target(
          `/fetch/http://${value}@h/?u=https%3A%2F%2F${encodeURIComponent(value)}%40h%2F`,
        )
        expect(`${path}?${query}`).not.toContain(value)
        expect(`${path}?${query}`).not.toContain(encodeURIComponent(value))
        expect(redactor.host(`${value}@h`)).toBe('[redacted]@h')
      }),
    )
  })

  it('are taken out of path parameters', () => {
    expect(redactor.target('/shop;jsessionid=A1B2/cart;x=1').path).toBe('/shop;jsessionid=[redacted]/cart;x=1')
  })

  it('are taken out wherever they look like a JSON Web Token', () => {
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'
    expect(redactor.target(`/verify/${jwt}?x=${jwt}`)).toEqual({ path: '/verify/[redacted]', query: 'x=[redacted]' })
    expect(redactor.text(`curl ${jwt}`)).toBe('curl [redacted]')
  })

  it('are taken out of the paths that the app names', () => {
    const own = createRedactor({ paths: ['/reset/:token', '/users/*/keys/:key', /order-\d+/] })
    expect(own.target('/reset/abc').path).toBe('/reset/[redacted]')
    expect(own.target('//RESET//abc/more?x=1').path).toBe('//RESET//[redacted]/more')
    expect(own.target('/re%73et/abc').path).toBe('/re%73et/[redacted]')
    expect(own.target('/users/7/keys/k1/show').path).toBe('/users/7/keys/[redacted]/show')
    expect(own.target('/a/order-17/order-18').path).toBe('/a/[redacted]/[redacted]')
    expect(own.target('/resets/abc').path).toBe('/resets/abc')
    expect(own.text('https://shop.example/reset/abc?x=1')).toBe('https://shop.example/reset/[redacted]?x=1')
  })
})

describe('secrets in headers', () => {
  it('are hidden by their name, in any case', () => {
    for (const name of HEADER_NAMES) {
      expect(redactor.header(name, 'abc')).toBe('[redacted]')
      expect(redactor.header(name.toUpperCase(), 'abc')).toBe('[redacted]')
    }
  })

  it('are hidden by their form', () => {
    expect(redactor.header('x-foo', 'Bearer abc.def')).toBe('Bearer [redacted]')
    expect(redactor.header('location', '/cb?code=abc')).toBe('/cb?code=[redacted]')
  })

  it('does not hide what only sounds alike', () => {
    expect(redactor.header('idempotency-key', 'abc')).toBe('abc')
    expect(redactor.header('x-author', 'abc')).toBe('abc')
  })

  it('takes names of the app’s own', () => {
    const own = createRedactor({ headers: ['X-Internal', /^x-team-/] })
    expect(own.header('x-internal', 'abc')).toBe('[redacted]')
    expect(own.header('x-team-red', 'abc')).toBe('[redacted]')
  })
})

describe('a hostile text', () => {
  it.each([
    ['slashes', `${'/'.repeat(300_000)}@`],
    ['encoded slashes', `${'%2f%2f'.repeat(50_000)}@`],
    ['authorities', `${'%3a%2f%2fa'.repeat(30_000)}@`],
    ['signs', `//${'@'.repeat(300_000)}`],
    ['escapes of escapes', `a=%${'25'.repeat(150_000)}`],
    ['percent signs', `a=${'%25'.repeat(100_000)}`],
    ['secret parameters', `/?${'key=a&'.repeat(50_000)}`],
    ['encoded secret parameters', `/?a=${'%26key%3Da'.repeat(30_000)}`],
    ['secret parameters without an end', `/?a=${'%2526key%253D'.repeat(30_000)}`],
    ['tokens', 'eyJ'.repeat(100_000)],
  ])('of 300 kB costs no more than its length (%s)', (_, text) => {
    const start = performance.now()
    redactor.text(text)
    redactor.target(`/${text}`)
    // A quadratic pass over it would take minutes.
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

function decodedUntilStable(text: string): string {
  let decoded = text
  for (let i = 0; i < 5; i++)
    decoded = decoded.replace(/%([0-9a-f]{2})/gi, (_, h: string) => String.fromCharCode(Number.parseInt(h, 16)))
  return decoded
}
