import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClaimRules, checkClaims, comparableType, expiresAtMs, holdsUntilMs } from '../../src/jwt/claims.ts'

const NOW_S = 1_700_000_000
const NOW_MS = NOW_S * 1_000

const ANY: ClaimRules = {
  issuer: undefined,
  audiences: undefined,
  types: undefined,
  expRequired: false,
  maxAgeMs: undefined,
  toleranceMs: 0,
}

/** The reason of a refusal by the rules that are named; nothing else is asked for. */
function fault(claims: Record<string, unknown>, rules: Partial<ClaimRules> = {}, typ?: string): string | undefined {
  return checkClaims(claims, typ, { ...ANY, ...rules }, NOW_MS)
}

describe('exp', () => {
  it('is required unless told otherwise', () => {
    expect(fault({}, { expRequired: true })).toBe('no-exp')
    expect(fault({}, { expRequired: false })).toBeUndefined()
  })

  it('ends a token on its very millisecond', () => {
    expect(fault({ exp: NOW_S })).toBe('expired')
    expect(fault({ exp: NOW_S + 0.001 })).toBeUndefined()
    expect(fault({ exp: NOW_S - 1 })).toBe('expired')
    expect(fault({ exp: 0 })).toBe('expired')
    expect(fault({ exp: -1 })).toBe('expired')
  })

  it('is stretched by the tolerance', () => {
    expect(fault({ exp: NOW_S - 4.999 }, { toleranceMs: 5_000 })).toBeUndefined()
    expect(fault({ exp: NOW_S - 5 }, { toleranceMs: 5_000 })).toBe('expired')
  })
})

describe('a date', () => {
  const odd = ['1800000000', '', [1_800_000_000], {}, null, true, Number.POSITIVE_INFINITY, Number.NaN, -1e13]

  it.each(odd)('is none, and refuses the token: %j', (value) => {
    expect(fault({ exp: value })).toBe('malformed-exp')
    expect(fault({ nbf: value })).toBe('malformed-nbf')
    expect(fault({ iat: value })).toBe('malformed-iat')
  })

  it('of an issuer who writes milliseconds is refused, for the token would live for fifty thousand years', () => {
    expect(fault({ exp: NOW_MS + 60_000 })).toBe('malformed-exp')
    expect(fault(JSON.parse('{"exp":1e999}'))).toBe('malformed-exp')
  })
})

describe('nbf and iat', () => {
  it('keep a token out until its time, less the tolerance', () => {
    expect(fault({ nbf: NOW_S })).toBeUndefined()
    expect(fault({ nbf: NOW_S + 0.001 })).toBe('not-yet-valid')
    expect(fault({ nbf: NOW_S + 5 }, { toleranceMs: 5_000 })).toBeUndefined()
    expect(fault({ nbf: NOW_S + 5.001 }, { toleranceMs: 5_000 })).toBe('not-yet-valid')
  })

  it('do not let a token in that says it was issued later than now', () => {
    expect(fault({ iat: NOW_S })).toBeUndefined()
    expect(fault({ iat: NOW_S + 1 })).toBe('issued-in-future')
    expect(fault({ iat: NOW_S + 1 }, { toleranceMs: 1_000 })).toBeUndefined()
  })

  it('bound the age when that is asked for, and then iat must be there', () => {
    const rules = { maxAgeMs: 60_000, toleranceMs: 1_000 }
    expect(fault({}, rules)).toBe('no-iat')
    expect(fault({ iat: NOW_S - 60 }, rules)).toBeUndefined()
    expect(fault({ iat: NOW_S - 61 }, rules)).toBe('too-old')
    expect(fault({ iat: NOW_S - 61, exp: NOW_S + 999 }, rules)).toBe('too-old')
  })
})

describe('iss', () => {
  it('is compared exactly', () => {
    const issuer = 'https://issuer.example'
    expect(fault({ iss: issuer }, { issuer })).toBeUndefined()
    for (const iss of [
      undefined,
      null,
      '',
      `${issuer}/`,
      `${issuer}.attacker.example`,
      'https://issuer',
      'HTTPS://issuer.example',
      [issuer],
      [issuer, 'https://attacker.example'],
      { toString: () => issuer },
      ` ${issuer}`,
    ]) {
      expect(fault({ iss }, { issuer })).toBe('issuer')
    }
  })
})

describe('aud', () => {
  const audiences = ['orders', 'billing']

  it('must name one of ours, alone or in a list', () => {
    for (const aud of ['orders', 'billing', ['billing'], ['other', 'orders']])
      expect(fault({ aud }, { audiences })).toBeUndefined()
    for (const aud of [
      undefined,
      '',
      'order',
      'orders ',
      'Orders',
      'orders,billing',
      [],
      ['other'],
      ['orders billing'],
    ]) {
      expect(fault({ aud }, { audiences })).toBe('audience')
    }
  })

  it('is refused when it is neither a text nor a list of texts, asked for or not', () => {
    for (const aud of [null, 1, {}, { 0: 'orders' }, ['orders', 1], [['orders']], [null]]) {
      expect(fault({ aud }, { audiences })).toBe('malformed-aud')
      expect(fault({ aud })).toBe('malformed-aud')
    }
  })
})

describe('typ', () => {
  it('must be one of those that are asked for, in any case, with or without application/', () => {
    for (const wanted of ['at+jwt', 'application/at+jwt', 'AT+JWT']) {
      for (const typ of ['at+jwt', 'AT+jwt', 'application/at+jwt', 'Application/AT+JWT']) {
        expect(fault({}, { types: ['other', wanted] }, typ)).toBeUndefined()
      }
      for (const typ of [
        undefined,
        '',
        'JWT',
        'at+jw',
        'text/at+jwt',
        'application/',
        'application/x/at+jwt',
        'application/application/at+jwt',
      ]) {
        expect(fault({}, { types: [wanted] }, typ)).toBe('type')
      }
    }
  })

  it('is not looked at unless it is asked for', () => {
    expect(fault({}, {}, 'anything')).toBeUndefined()
  })

  it('is compared alike, however often it is brought into that form', () => {
    fc.assert(
      fc.property(fc.string(), (typ) => {
        fc.pre(!/^application\/application\//i.test(typ))
        expect(comparableType(comparableType(typ))).toBe(comparableType(typ))
      }),
    )
  })
})

describe('how long a token holds', () => {
  it('is to its exp and the tolerance', () => {
    expect(expiresAtMs({ exp: NOW_S }, 5_000)).toBe(NOW_MS + 5_000)
    expect(expiresAtMs({}, 5_000)).toBe(Number.POSITIVE_INFINITY)
    expect(expiresAtMs({ exp: 'soon' }, 5_000)).toBe(Number.NEGATIVE_INFINITY)
  })

  it('is no longer than its greatest age', () => {
    const rules = { maxAgeMs: 60_000, toleranceMs: 5_000 }
    expect(holdsUntilMs({ iat: NOW_S }, rules)).toBe(NOW_MS + 65_000)
    expect(holdsUntilMs({ iat: NOW_S, exp: NOW_S + 10 }, rules)).toBe(NOW_MS + 15_000)
    expect(holdsUntilMs({ exp: NOW_S }, rules)).toBe(Number.NEGATIVE_INFINITY)
    expect(holdsUntilMs({ exp: NOW_S }, { ...rules, maxAgeMs: undefined })).toBe(NOW_MS + 5_000)
  })

  it('is exactly as long as the check lets it pass, so that a remembered token never outlives itself', () => {
    const seconds = fc.double({ min: NOW_S - 200, max: NOW_S + 200, noNaN: true })
    fc.assert(
      fc.property(
        fc.record({ exp: seconds, iat: seconds }, { requiredKeys: ['iat'] }),
        fc.option(fc.nat(300_000), { nil: undefined }),
        fc.nat(60_000),
        (claims, maxAgeMs, toleranceMs) => {
          const rules = { ...ANY, maxAgeMs, toleranceMs }
          const end = holdsUntilMs(claims, rules)
          for (const nowMs of [end - 1, end, end + 1, NOW_MS]) {
            if (!Number.isFinite(nowMs)) continue
            const reason = checkClaims(claims, undefined, rules, nowMs)
            const isOver = reason === 'expired' || reason === 'too-old'
            if (reason === 'issued-in-future') expect(claims.iat * 1_000).toBeGreaterThan(nowMs + toleranceMs)
            else expect(isOver).toBe(nowMs >= end)
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it('is told of any claims without a throw', () => {
    const rules: ClaimRules = {
      issuer: 'i',
      audiences: ['a'],
      types: ['t'],
      expRequired: true,
      maxAgeMs: 1,
      toleranceMs: 1,
    }
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat', 'x'), fc.jsonValue()), (claims) => {
        expect(checkClaims(claims, 't', rules, NOW_MS) ?? 'none').toMatch(/^[a-z-]+$/)
        expect(holdsUntilMs(claims, rules)).not.toBeNaN()
      }),
    )
  })
})
