import { type Client, createTarget } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editCookie, rewriteLocation } from '../../src/message/rewrite.ts'

const CLIENT: Client = { address: '192.0.2.1', protocol: 'https', host: 'shop.test' }
const plain = createTarget('http://10.0.0.1:3000')
const based = createTarget('http://10.0.0.1:3000/app')

describe('rewriteLocation()', () => {
  it.each([
    // No base path, no mount: nothing to do for a path.
    ['/x?y#z', plain, '', '/x?y#z'],
    ['http://10.0.0.1:3000/x?y#z', plain, '', 'https://shop.test/x?y#z'],
    ['http://10.0.0.1:3000', plain, '', 'https://shop.test/'],
    ['//10.0.0.1:3000/x', plain, '', 'https://shop.test/x'],
    ['\\\\10.0.0.1:3000/x', plain, '', 'https://shop.test/x'],
    ['/\\10.0.0.1:3000/x', plain, '', 'https://shop.test/x'],
    ['HTTP://10.0.0.1:3000/x', plain, '', 'https://shop.test/x'],
    ['http://user:secret@10.0.0.1:3000/x', plain, '', 'https://shop.test/x'],
    // A mount comes back in front.
    ['/x', plain, '/api', '/api/x'],
    ['http://10.0.0.1:3000/x', plain, '/api', 'https://shop.test/api/x'],
    // The base path goes.
    ['/app/x', based, '', '/x'],
    ['/app', based, '', '/'],
    ['/app?x', based, '', '/?x'],
    ['/app#x', based, '', '/#x'],
    ['/app/x', based, '/api', '/api/x'],
    ['/app', based, '/api', '/api'],
    ['/app?x', based, '/api', '/api?x'],
    ['http://10.0.0.1:3000/app/x', based, '/api', 'https://shop.test/api/x'],
    // Outside the base path: nothing of ours.
    ['/application', based, '/api', '/application'],
    ['/other', based, '/api', '/other'],
    // What only looks like a path to the root once the base path is off.
    ['/app//evil.test', based, '', '/evil.test'],
    ['/app/\\evil.test', based, '', '/evil.test'],
    ['/app/\t/evil.test', based, '', '/evil.test'],
    ['/app//evil.test', based, '/api', '/api//evil.test'],
    // Elsewhere, or relative: as it came.
    ['https://elsewhere.test/x', plain, '/api', 'https://elsewhere.test/x'],
    ['//elsewhere.test/x', plain, '/api', '//elsewhere.test/x'],
    ['http://10.0.0.1:3001/x', plain, '', 'http://10.0.0.1:3001/x'],
    ['next', plain, '/api', 'next'],
    ['?page=2', plain, '/api', '?page=2'],
    ['mailto:x@10.0.0.1', plain, '', 'mailto:x@10.0.0.1'],
    ['http://[', plain, '', 'http://['],
    ['', plain, '', ''],
  ])('%j becomes %j', (...[location, target, prefix, expected]) => {
    expect(rewriteLocation(location, target, CLIENT, prefix)).toBe(expected)
  })

  it('leaves a redirect alone when it is not known what the client calls us', () => {
    expect(rewriteLocation('http://10.0.0.1:3000/x', plain, { ...CLIENT, host: '' }, '')).toBe('http://10.0.0.1:3000/x')
  })

  it('never sends a browser to another host than the upstream meant: the same, or us for the target itself', () => {
    const piece = fc.constantFrom(
      '/',
      '//',
      '\\',
      'http:',
      'https:',
      '10.0.0.1:3000',
      'evil.test',
      'app',
      '..',
      '.',
      '@',
      '?',
      '#',
      '%2f',
      ':',
      'x',
      '\t',
    )
    const location = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(location, fc.constantFrom(plain, based), fc.constantFrom('', '/api'), (text, target, prefix) => {
        fc.pre(text === text.trim())
        const asked = 'http://10.0.0.1:3000/app/page'
        fc.pre(URL.canParse(text, asked))
        const meant = new URL(text, asked)
        fc.pre(/^https?:$/.test(meant.protocol))
        const got = new URL(rewriteLocation(text, target, CLIENT, prefix), 'http://shop.test/page')
        const allowed = meant.host === '10.0.0.1:3000' ? ['shop.test'] : [meant.host]
        // A browser resolves `http:x` against a page of the same scheme; the rest of such oddities passes as it came.
        fc.pre(!/^https?:(?![/\\]{2})/.test(text) && !text.includes('\t'))
        expect({ text, host: got.host }).toEqual({ text, host: allowed[0] })
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('editCookie()', () => {
  const COOKIE = 'id=a=b; Path=/app; Domain=inner.test; HttpOnly; Max-Age=5; SameSite=Lax; Secure'

  it.each([
    [{}, COOKIE],
    [{ domain: null }, 'id=a=b; Path=/app; HttpOnly; Max-Age=5; SameSite=Lax; Secure'],
    [{ domain: 'shop.test' }, 'id=a=b; Path=/app; HttpOnly; Max-Age=5; SameSite=Lax; Secure; Domain=shop.test'],
    [{ path: '/' }, 'id=a=b; Path=/; Domain=inner.test; HttpOnly; Max-Age=5; SameSite=Lax; Secure'],
    [{ path: { '/app': '/api' } }, 'id=a=b; Path=/api; Domain=inner.test; HttpOnly; Max-Age=5; SameSite=Lax; Secure'],
    [{ path: { '/other': '/api' } }, 'id=a=b; Path=/app; Domain=inner.test; HttpOnly; Max-Age=5; SameSite=Lax; Secure'],
    [{ secure: false }, 'id=a=b; Path=/app; Domain=inner.test; HttpOnly; Max-Age=5; SameSite=Lax'],
    [{ secure: true }, 'id=a=b; Path=/app; Domain=inner.test; HttpOnly; Max-Age=5; SameSite=Lax; Secure'],
    [{ sameSite: 'strict' }, 'id=a=b; Path=/app; Domain=inner.test; HttpOnly; Max-Age=5; Secure; SameSite=Strict'],
  ] as const)('%j', (edits, expected) => {
    expect(editCookie(COOKIE, edits)).toBe(expected)
  })

  it('gives a cookie without a path the path of all cookies', () => {
    expect(editCookie('a=1; HttpOnly', { path: '/' })).toBe('a=1; HttpOnly; Path=/')
    expect(editCookie('a=1; HttpOnly', { path: { '/app': '/' } })).toBe('a=1; HttpOnly')
  })

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'does not take the path %s for a key of every object',
    (path) => {
      expect(editCookie(`a=1; Path=${path}`, { path: { '/app': '/' } })).toBe(`a=1; Path=${path}`)
    },
  )

  it('leaves name, value and all other attributes byte for byte', () => {
    const attribute = fc.stringMatching(/^[ !-:<-~]{0,15}$/)
    fc.assert(
      fc.property(fc.array(attribute, { minLength: 1, maxLength: 6 }), (parts) => {
        const others = parts.slice(1).filter((part) => !/^\s*domain\s*(?:=|$)/i.test(part))
        expect(editCookie(parts.join(';'), { domain: null })).toBe([parts[0], ...others].join(';'))
      }),
    )
  })
})
