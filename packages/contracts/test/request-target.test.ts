import { describe, expect, test } from 'vitest'
import { isAuthority, isRefusedTarget, type PathPolicy, parseRequestTarget } from '../src/index.ts'

describe('what passes, byte for byte', () => {
  test.each([
    ['/'],
    ['/products'],
    ['/products/'],
    ['/products/42/reviews'],
    ['/a%20b'],
    ['/caf%C3%A9'],
    ['/%E6%97%A5%E6%9C%AC'],
    ['/%F0%9F%98%80'],
    ['/a..b'],
    ['/..a'],
    ['/a..'],
    ['/.well-known/security.txt'],
    ['/...'],
    ['/a+b,c;d=e'],
    ['/users/@me'],
    ['/a:b'],
    ['/[1]'],
    ['/~user'],
    ["/it's!$&(*)="],
    ['/100%25'],
    ['/a%252Bb'],
    ['/a%3Fb'],
    ['/a%23b'],
    ['/%7Bid%7D'],
    ['/{id}'],
    ['/caf\xc3\xa9'],
    ['/administrator'],
  ])('%s', (path) => {
    expect(parseRequestTarget(path)).toEqual({ path, query: '', authority: undefined })
  })

  test.each([
    ['/x?', '?'],
    ['/x?a=b&a=c', '?a=b&a=c'],
    ['/x?../../admin', '?../../admin'],
    ['/x?a=%2e%2e%2f%00%zz', '?a=%2e%2e%2f%00%zz'],
    ['/x?a?b//c\\d;e', '?a?b//c\\d;e'],
    ['/x?caf\xc3\xa9', '?caf\xc3\xa9'],
    ['/x?__proto__=1', '?__proto__=1'],
  ])('the query of %s', (raw, query) => {
    expect(parseRequestTarget(raw)).toEqual({ path: '/x', query, authority: undefined })
  })
})

describe('absolute-form', () => {
  test.each([
    ['http://Example.com/a?b', { path: '/a', query: '?b', authority: 'example.com' }],
    ['HTTPS://example.com:8443/a', { path: '/a', query: '', authority: 'example.com:8443' }],
    ['http://example.com', { path: '/', query: '', authority: 'example.com' }],
    ['http://example.com?x', { path: '/', query: '?x', authority: 'example.com' }],
    ['http://[::1]:80/', { path: '/', query: '', authority: '[::1]:80' }],
  ])('%s is split', (raw, expected) => {
    expect(parseRequestTarget(raw)).toEqual(expected)
  })

  test.each([
    ['http://user:pass@example.com/', 'malformed authority'],
    ['http://example.com@evil.test/', 'malformed authority'],
    ['http://exa mple.com/', 'malformed authority'],
    ['http://example.com\\@evil.test/', 'malformed authority'],
    ['http://example.com%40evil.test/', 'malformed authority'],
    ['http://a.test,b.test/', 'malformed authority'],
    ['http://example.com:80:80/', 'malformed authority'],
    ['http://example.com:http/', 'malformed authority'],
    ['http://[fe80::1%25eth0]/', 'malformed authority'],
    ['http:///admin', 'malformed authority'],
    ['http://example.com#frag', 'fragment'],
    ['http://example.com/../admin', 'dot segment'],
    ['http:/example.com/admin', 'not an absolute path'],
    ['ftp://example.com/', 'not an absolute path'],
    ['file:///etc/passwd', 'not an absolute path'],
  ])('%s is refused', (raw, refused) => {
    expect(parseRequestTarget(raw)).toEqual({ refused })
  })
})

describe('what is always refused', () => {
  const everything: PathPolicy = { encodedSlashes: 'pass', repeatedSlashes: 'pass', encodedUnreserved: 'pass' }
  test.each([
    ['/public/../admin', 'dot segment'],
    ['/public/..', 'dot segment'],
    ['/..', 'dot segment'],
    ['/.', 'dot segment'],
    ['/./admin', 'dot segment'],
    ['/admin/.', 'dot segment'],
    ['/public/..;/admin', 'dot segment'],
    ['/public/..;x=1/admin', 'dot segment'],
    ['/public/.;/admin', 'dot segment'],
    ['/public/..%3bx/admin', 'dot segment'],
    ['/public\\..\\admin', 'backslash'],
    ['/\\evil.test', 'backslash'],
    ['/public%5c..%5cadmin', 'encoded backslash'],
    ['/public%5Cadmin', 'encoded backslash'],
    ['/admin%00', 'encoded control byte'],
    ['/admin%00.css', 'encoded control byte'],
    ['/a%0d%0aX-Evil:%201', 'encoded control byte'],
    ['/a%09', 'encoded control byte'],
    ['/a%7f', 'encoded control byte'],
    ['/a b', 'control byte'],
    ['/a\x00b', 'control byte'],
    ['/a\r\nb', 'control byte'],
    ['/a\x7f', 'control byte'],
    ['/%', 'malformed percent-encoding'],
    ['/%2', 'malformed percent-encoding'],
    ['/%zz', 'malformed percent-encoding'],
    ['/%%32e', 'malformed percent-encoding'],
    ['/%u002e%u002e/admin', 'malformed percent-encoding'],
    ['/%c0%ae%c0%ae/admin', 'over-long UTF-8'],
    ['/%c0%af', 'over-long UTF-8'],
    ['/%C1%9Cadmin', 'over-long UTF-8'],
    ['/%e0%80%af', 'over-long UTF-8'],
    ['/%f0%80%80%af', 'over-long UTF-8'],
    ['/%f8%80%80%80%af', 'over-long UTF-8'],
    ['/\xc0\xaf', 'over-long UTF-8'],
    ['/\xe0\x80\xaf', 'over-long UTF-8'],
    ['/%e0\x80\xaf', 'over-long UTF-8'],
    ['/\xe0%80%af', 'over-long UTF-8'],
    ['/\u012f', 'wide character'],
    ['/\uff0e\uff0e/admin', 'wide character'],
    ['/a#b', 'fragment'],
    ['/a?b#c', 'fragment'],
    ['/a?b c', 'control byte or wide character in the query'],
    ['/a?b\r\nc', 'control byte or wide character in the query'],
    ['/a?b\u010a', 'control byte or wide character in the query'],
    ['/public/%252e%252e/admin', 'double encoding'],
    ['/public/%25252e%25252e/admin', 'double encoding'],
    ['/%255cadmin', 'double encoding'],
    ['/admin%2500', 'double encoding'],
    ['*', 'asterisk-form target'],
    ['example.com:443', 'not an absolute path'],
    ['admin', 'not an absolute path'],
    ['', 'not an absolute path'],
    ['@evil.test/', 'not an absolute path'],
  ])('%j', (raw, refused) => {
    expect(parseRequestTarget(raw)).toEqual({ refused })
    expect(isRefusedTarget(parseRequestTarget(raw, everything))).toBe(true)
  })
})

describe('policies', () => {
  const passes = (raw: string, policy: PathPolicy) => !isRefusedTarget(parseRequestTarget(raw, policy))

  test.each([
    ['/a%2Fb', 'encoded slash'],
    ['/a%2fb', 'encoded slash'],
    ['/a%252Fb', 'double encoding'],
  ])('encodedSlashes: %s', (raw, refused) => {
    expect(parseRequestTarget(raw)).toEqual({ refused })
    expect(parseRequestTarget(raw, { encodedSlashes: 'pass' })).toEqual({ path: raw, query: '', authority: undefined })
  })

  test.each([
    '/public/..%2fadmin',
    '/public%2f..%2fadmin',
    '/public/..%252fadmin',
    '/%2e%2e%2f',
    '/a%2f.%2fb',
    '/;%2F../admin',
    '/;x%2f..',
    '/a%2f..',
  ])('encodedSlashes: %s is a dot segment all the same', (raw) => {
    expect(passes(raw, { encodedSlashes: 'pass' })).toBe(false)
    expect(passes(raw, { encodedSlashes: 'pass', encodedUnreserved: 'pass' })).toBe(false)
  })

  test.each(['//admin', '/public//admin', '/public//', '//evil.test/x'])('repeatedSlashes: %s', (raw) => {
    expect(parseRequestTarget(raw)).toEqual({ refused: 'repeated slash' })
    expect(passes(raw, { repeatedSlashes: 'pass' })).toBe(true)
  })

  test.each(['/%61dmin', '/adm%69n', '/%7Euser', '/a%2Eb', '/%41', '/%30', '/%5f', '/%2d'])(
    'encodedUnreserved: %s',
    (raw) => {
      expect(parseRequestTarget(raw)).toEqual({ refused: 'encoded unreserved character' })
      expect(passes(raw, { encodedUnreserved: 'pass' })).toBe(true)
    },
  )

  test.each(['/%2e%2e/admin', '/.%2e/admin', '/%2E./admin', '/%2e/admin', '/%2e%2e', '/%2e%2e;x/admin'])(
    'encodedUnreserved: %s is a dot segment all the same',
    (raw) => {
      expect(parseRequestTarget(raw, { encodedUnreserved: 'pass' })).toMatchObject({ refused: expect.any(String) })
    },
  )

  test.each(['/admin;x=1', '/;/admin', '/admin;', '/admin%3bx', '/admin%3Bx'])('pathParameters: %s', (raw) => {
    expect(passes(raw, {})).toBe(true)
    expect(parseRequestTarget(raw, { pathParameters: 'refuse' })).toEqual({ refused: 'path parameter' })
  })
})

describe('isAuthority', () => {
  test.each(['example.com', 'EXAMPLE.com:80', 'a_b.internal', '10.0.0.1:8080', '[::1]', '[2001:db8::1]:443', 'x:'])(
    '%s is one',
    (text) => expect(isAuthority(text)).toBe(true),
  )
  test.each([
    '',
    ':80',
    'a b',
    'a/b',
    'a?b',
    'a#b',
    'u@a',
    'a,b',
    'a%2eb',
    'a\\b',
    'a:b',
    'a:123456',
    '::1',
    '[::1',
    'a\n',
  ])('%j is none', (text) => expect(isAuthority(text)).toBe(false))
  test('nor is one of more than 255 characters', () => {
    expect(isAuthority('a'.repeat(255))).toBe(true)
    expect(isAuthority('a'.repeat(256))).toBe(false)
  })
})

test.each([
  ['slashes', `/${'a/'.repeat(5_000)}../`],
  ['escapes of escapes', `/${'%25'.repeat(3_400)}`],
  ['a deep escape', `/%${'25'.repeat(5_000)}2e`],
  ['dots', `/${'.'.repeat(10_000)}`],
  ['dots apart', `/${'./.'.repeat(3_400)}`],
  ['semicolons', `/${';'.repeat(10_000)}`],
  ['escaped slashes', `/${'.%2f'.repeat(2_500)}`],
  ['an authority', `http://${'a.'.repeat(5_000)}`],
])('hostile %s are decided, however many: ten times what Node lets in do not hang', (_name, raw) => {
  const policy: PathPolicy = { encodedSlashes: 'pass', encodedUnreserved: 'pass' }
  // Work that grows with the square of the length would take minutes here.
  const long = raw + raw.slice(1).repeat(99)
  const started = performance.now()
  parseRequestTarget(long, policy)
  expect(performance.now() - started).toBeLessThan(10_000)
})
