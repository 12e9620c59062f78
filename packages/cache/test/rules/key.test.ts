import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editedQuery, effectiveUri } from '../../src/rules/key.ts'

describe('the effective request URI', () => {
  it.each([
    ['https', 'shop.example', '/products?page=2', 'https://shop.example/products?page=2'],
    ['http', 'Shop.EXAMPLE', '/', 'http://shop.example/'],
    ['http', 'shop.example:80', '/', 'http://shop.example/'],
    ['https', 'shop.example:443', '/', 'https://shop.example/'],
    ['https', 'shop.example:80', '/', 'https://shop.example:80/'],
    ['http', 'shop.example:443', '/', 'http://shop.example:443/'],
    ['http', 'shop.example:8080', '/', 'http://shop.example:8080/'],
    ['http', 'shop.example:', '/', 'http://shop.example/'],
    ['http', '[::1]:80', '/', 'http://[::1]/'],
    ['http', '[2001:db8::80]', '/', 'http://[2001:db8::80]/'],
    ['http', 'shop80', '/', 'http://shop80/'],
    ['http', 'shop.example', 'http://Other.example:80/a?b', 'http://other.example/a?b'],
    ['http', 'shop.example', 'http://other.example', 'http://other.example/'],
    ['http', 'shop.example', 'HTTP://other.example?b', 'http://other.example/?b'],
    ['http', 'shop.example', '', 'http://shop.example/'],
  ] as const)('%s, Host %s, target %s', (protocol, host, target, uri) => {
    expect(effectiveUri(protocol, host, target)).toBe(uri)
  })

  it('has the scheme of the connection, whatever scheme the target names', () => {
    expect(effectiveUri('https', 'shop.example', 'http://shop.example/a')).toBe('https://shop.example/a')
  })

  it('keeps path and query byte for byte', () => {
    const target = fc.oneof(
      fc.string().map((text) => `/${text}`),
      fc.constantFrom('/a/../b', '/%2e%2e/x', '//a', '/a%2Fb', '/A%20b?C=D&&e', '/;x=1?', '/\u00fc', '/?http://x/'),
    )
    fc.assert(
      fc.property(target, fc.constantFrom('a.example', 'A.Example:80', 'a.example:81'), (target, host) => {
        const uri = effectiveUri('http', host, target)
        expect(uri.endsWith(target)).toBe(true)
        expect(uri.slice(0, -target.length)).toMatch(/^http:\/\/a\.example(:81)?$/)
      }),
    )
  })

  it('is the same for an absolute-form target and its origin-form', () => {
    fc.assert(
      fc.property(fc.webPath(), (path) => {
        expect(effectiveUri('http', 'x', `http://a.example${path}`)).toBe(
          effectiveUri('http', 'a.example', path || '/'),
        )
      }),
    )
  })
})

const IGNORE = new Set(['utm_*', 'fbclid', 'a b'])

describe('a query without what changes nothing', () => {
  it.each([
    ['a name', '/p?fbclid=1&id=2', '/p?id=2'],
    ['a name without a value', '/p?id=2&fbclid', '/p?id=2'],
    ['a name twice', '/p?fbclid=1&id=2&fbclid=3', '/p?id=2'],
    ['a beginning', '/p?utm_source=x&utm_=y&id=2', '/p?id=2'],
    ['an escaped name', '/p?utm%5Fsource=x&id=2', '/p?id=2'],
    ['a name with a space', '/p?a+b=1&a%20b=2&id=2', '/p?id=2'],
    ['all there is', '/p?fbclid=1', '/p'],
  ])('leaves out %s', (_, uri, edited) => {
    expect(editedQuery(uri, IGNORE, false)).toBe(edited)
  })

  it.each([
    ['another name', '/p?xfbclid=1&fbclid2=1&FBCLID=1&utm=1'],
    ['a name in the path', '/fbclid=1'],
    ['a name in a value', '/p?id=fbclid&x=utm_source'],
    ['a broken escape', '/p?utm_%zz=1&fbclid%=1'],
    ['a parameter in which some upstreams see another one', '/p?fbclid=1;id=3&utm_x;id=3'],
    ['an empty query', '/p?'],
    ['empty parameters', '/p?&&id=1&'],
    ['spelling', '/p?id=%41+b&ID=%2f'],
  ])('keeps %s', (_, uri) => {
    expect(editedQuery(uri, IGNORE, false)).toBe(uri)
  })

  it('is sorted by name when asked, and keeps the order within a name', () => {
    expect(editedQuery('/p?b=2&a=9&B=0&a=1&%61=0&c', new Set(), true)).toBe('/p?B=0&a=9&a=1&%61=0&b=2&c')
    expect(editedQuery('/p?b=2&fbclid=1&a=9', IGNORE, true)).toBe('/p?a=9&b=2')
    expect(editedQuery('/p?b=2&a=9', new Set(), false)).toBe('/p?b=2&a=9')
  })

  it('is the same for every order of different names, when sorted', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1 })
    fc.assert(
      fc.property(
        names.chain((names) => fc.tuple(fc.constant(names), fc.shuffledSubarray(names, { minLength: names.length }))),
        ([names, shuffled]) => {
          const query = (names: readonly string[]) =>
            editedQuery(`/p?${names.map((n) => `${n}=1`).join('&')}`, new Set(), true)
          expect(query(shuffled)).toBe(query(names))
        },
      ),
    )
  })

  it('has no parameter that was not there, and loses none that is not ignored', () => {
    const query = fc.string({ unit: fc.constantFrom('a', 'b', '=', '&', '%', '4', '1', '+', ';', '_') })
    fc.assert(
      fc.property(query, fc.boolean(), (query, sort) => {
        const edited = editedQuery(`/p?${query}`, new Set(['a', 'b_*']), sort)
        const after = edited === '/p' ? [] : edited.slice(3).split('&')
        const lost = query.split('&')
        for (const text of after) {
          expect(lost).toContain(text)
          lost.splice(lost.indexOf(text), 1)
        }
        for (const text of lost) expect(text).toMatch(/^(a|%41|%61|b_[^;=]*)(=[^;]*)?$/)
      }),
    )
  })
})
