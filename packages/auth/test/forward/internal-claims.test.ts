import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ISSUER_CLAIMS, internalClaims, isUsable, lifeOf } from '../../src/forward/internal-claims.ts'
import { identityOf } from '../../src/scheme.ts'
import { alice } from './support.ts'

const NOW = 1_800_000_000_000

describe('the life of an internal token', () => {
  test('never ends behind that of the credentials, nor behind its own limit', () => {
    const nowMs = fc.double({ min: NOW, max: NOW + 1e6, noNaN: true })
    const expiry = fc.double({ min: NOW / 1_000 - 1e3, max: NOW / 1_000 + 1e4, noNaN: true })
    fc.assert(
      fc.property(nowMs, expiry, fc.integer({ min: 2_000, max: 3_600_000 }), (now, exp, ttlMs) => {
        const life = lifeOf(identityOf('jwt', 'a', { claims: { exp } }), now, ttlMs)
        if (life === undefined) {
          expect(exp * 1_000 - now).toBeLessThan(1_000)
          return
        }
        expect(life.exp).toBeLessThanOrEqual(exp)
        expect(life.exp * 1_000).toBeLessThanOrEqual(now + ttlMs)
        expect(life.iat * 1_000).toBeLessThanOrEqual(now)
        expect(life.exp).toBeGreaterThan(life.iat)
        expect(Number.isInteger(life.exp) && Number.isInteger(life.iat)).toBe(true)
      }),
    )
  })

  test('is its own where the credentials have none, or none that is a number', () => {
    for (const exp of [undefined, '1', Number.POSITIVE_INFINITY, Number.NaN, null, [1]]) {
      const life = lifeOf(identityOf('jwt', 'a', { claims: { exp } }), NOW, 60_000)
      expect(life).toEqual({ iat: NOW / 1_000, exp: NOW / 1_000 + 60, isCapped: false })
    }
    expect(lifeOf(identityOf('jwt', 'a', { claims: { exp: Number.NEGATIVE_INFINITY } }), NOW, 60_000)).toBe(undefined)
  })

  test('a token is used again while a third of its life is left, and to the end where a new one would live no longer', () => {
    const iat = NOW / 1_000
    const life = { iat, exp: iat + 60, isCapped: false }
    const capped = { ...life, isCapped: true }
    expect([0, 40_000].map((ms) => isUsable(life, NOW + ms))).toEqual([true, true])
    expect([40_001, 60_000].map((ms) => isUsable(life, NOW + ms))).toEqual([false, false])
    expect([40_001, 59_999, 60_000].map((ms) => isUsable(capped, NOW + ms))).toEqual([true, true, false])
    // The clock was set back.
    expect(isUsable(life, NOW - 1)).toBe(false)
  })
})

describe('the claims of an internal token', () => {
  test('say who is calling, and of which issuer', () => {
    expect({ ...internalClaims(alice, undefined) }).toEqual({
      sub: 'alice',
      sub_id: { format: 'iss_sub', iss: 'https://id.test', sub: 'alice' },
      scope: 'orders:read orders:write',
      roles: ['buyer'],
      scheme: 'jwt',
    })
    expect({ ...internalClaims(identityOf('api-key', 'shop'), undefined) }).toEqual({ sub: 'shop', scheme: 'api-key' })
  })

  test('no chosen claim replaces one of the issuer’s, whatever it is called', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.oneof(fc.constantFrom(...ISSUER_CLAIMS, '__proto__', 'toString'), fc.string()),
          fc.jsonValue(),
        ),
        (extra) => {
          const claims = internalClaims(alice, extra)
          expect(claims.sub).toBe('alice')
          expect(claims.scheme).toBe('jwt')
          expect(claims.sub_id).toEqual({ format: 'iss_sub', iss: 'https://id.test', sub: 'alice' })
          for (const name of ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti']) expect(name in claims).toBe(false)
          expect(({} as { polluted?: unknown }).polluted).toBe(undefined)
        },
      ),
    )
  })

  test('a function may narrow the scopes', () => {
    expect(internalClaims(alice, { scope: 'orders:read', roles: [] })).toMatchObject({
      scope: 'orders:read',
      roles: [],
    })
  })
})
