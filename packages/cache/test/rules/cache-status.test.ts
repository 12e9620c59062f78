import fc from 'fast-check'
import { parseList, Token } from 'structured-headers'
import { describe, expect, it } from 'vitest'
import { type CacheStatusFacts, cacheStatusItem } from '../../src/rules/cache-status.ts'

const NOTHING: CacheStatusFacts = {
  hit: false,
  fwd: undefined,
  fwdStatus: undefined,
  ttlS: undefined,
  stored: false,
  collapsed: false,
  detail: undefined,
}

function item(facts: Partial<CacheStatusFacts>, name = 'Postern'): string {
  return cacheStatusItem(name, { ...NOTHING, ...facts })
}

describe('Cache-Status', () => {
  it.each<[Partial<CacheStatusFacts>, string]>([
    [{ hit: true }, 'Postern; hit'],
    [{ hit: true, ttlS: 42 }, 'Postern; hit; ttl=42'],
    [{ hit: true, ttlS: -412 }, 'Postern; hit; ttl=-412'],
    [{ fwd: 'uri-miss' }, 'Postern; fwd=uri-miss'],
    [{ fwd: 'uri-miss', stored: true, ttlS: 60 }, 'Postern; fwd=uri-miss; ttl=60; stored'],
    [
      { fwd: 'stale', fwdStatus: 304, ttlS: 60, stored: true, collapsed: true },
      'Postern; fwd=stale; fwd-status=304; ttl=60; stored; collapsed',
    ],
    [{ fwd: 'bypass', detail: 'no-store' }, 'Postern; fwd=bypass; detail=no-store'],
    [{ hit: true, detail: 'two words' }, 'Postern; hit; detail="two words"'],
    [{}, 'Postern'],
  ])('says %j', (facts, text) => {
    expect(item(facts)).toBe(text)
  })

  it('rounds down, so that nothing stale looks fresh', () => {
    expect(item({ hit: true, ttlS: 1.9 })).toBe('Postern; hit; ttl=1')
    expect(item({ hit: true, ttlS: -0.1 })).toBe('Postern; hit; ttl=-1')
  })

  it('keeps numbers within what a structured field can have', () => {
    expect(item({ hit: true, ttlS: Number.POSITIVE_INFINITY })).toBe('Postern; hit; ttl=999999999999999')
    expect(item({ hit: true, ttlS: Number.NaN })).toBe('Postern; hit')
  })

  it('says nothing of forwarding for a hit', () => {
    const facts = { hit: true, fwd: 'stale', fwdStatus: 200, stored: true, collapsed: true } as const
    expect(item(facts)).toBe('Postern; hit')
  })

  it.each([
    ['edge/1', 'edge/1; hit'],
    ['CDN Company Here', '"CDN Company Here"; hit'],
    ['7up', '"7up"; hit'],
    ['', '""; hit'],
    ['say "hi"\\', '"say \\"hi\\"\\\\"; hit'],
    ['caf\u00e9\r\nx', '"cafx"; hit'],
  ])('names the cache %j', (name, text) => {
    expect(item({ hit: true }, name)).toBe(text)
  })

  it('is read back by a parser of structured fields, whatever the name and the detail', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.integer(), (name, detail, ttlS) => {
        const [[value, parameters]] = parseList(item({ hit: true, ttlS, detail }, name)) as any
        expect(value instanceof Token ? value.toString() : value).toBe(name)
        expect(String(parameters.get('detail'))).toBe(detail)
        expect(parameters.get('ttl')).toBe(ttlS)
        expect(parameters.get('hit')).toBe(true)
      }),
    )
  })
})
