import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { JwtAlgorithm, VerificationKey } from '../../src/jwt/key-set.ts'
import { KeyTable, succeed } from '../../src/jwt/key-table.ts'

const MATERIAL = Array.from({ length: 8 }, () => generateKeyPairSync('ed25519').publicKey)
const ALGORITHMS: readonly JwtAlgorithm[] = ['EdDSA', 'ES256']

function key(kid: string | undefined, material: number, algorithms: JwtAlgorithm[] = ['EdDSA']): VerificationKey {
  // Imported anew, as it is after each fetch.
  const imported: KeyObject = createPublicKey(MATERIAL[material]!.export({ type: 'spki', format: 'pem' }))
  return { kid, key: imported, algorithms: new Set(algorithms), active: true }
}

describe('finding the key of a token', () => {
  const [a, b, nameless] = [key('a', 0), key('b', 1), key(undefined, 2)]

  test('goes by kid and algorithm', () => {
    const table = new KeyTable([a, b], ALGORITHMS)
    expect(table.find('b', 'EdDSA')).toEqual({ keys: [b], isNamed: true })
    expect(table.find('b', 'ES256')).toEqual({ keys: [], isNamed: false })
    expect(table.find('c', 'EdDSA')).toEqual({ keys: [], isNamed: false })
    expect(table.find('b', 'RS256')).toEqual({ keys: [], isNamed: false })
  })

  test('takes keys without a kid for any kid that no key has', () => {
    const table = new KeyTable([a, nameless], ALGORITHMS)
    expect(table.find('a', 'EdDSA')).toEqual({ keys: [a], isNamed: true })
    expect(table.find('c', 'EdDSA')).toEqual({ keys: [nameless], isNamed: false })
  })

  test('takes all keys for a token without a kid, but never more than four', () => {
    expect(new KeyTable([a, b, nameless], ALGORITHMS).find(undefined, 'EdDSA').keys).toEqual([a, b, nameless])
    const many = [0, 1, 2, 3, 4].map((i) => key(`k${i}`, i))
    expect(new KeyTable(many, ALGORITHMS).find(undefined, 'EdDSA')).toEqual({ keys: [], isNamed: false })
    expect(new KeyTable([...many, nameless], ALGORITHMS).find(undefined, 'EdDSA').keys).toEqual([nameless])
    const manyNameless = [0, 1, 2, 3, 4].map((i) => key(undefined, i))
    expect(new KeyTable(manyNameless, ALGORITHMS).find('x', 'EdDSA').keys).toEqual([])
  })

  test.each(['__proto__', 'constructor', 'toString', '../../etc/passwd', "' OR 1=1 --"])(
    'finds nothing for the kid %s',
    (kid) => {
      expect(new KeyTable([a, b], ALGORITHMS).find(kid, 'EdDSA').keys).toEqual([])
    },
  )
})

describe('a new answer of the provider', () => {
  test('keeps the key objects that it holds still', () => {
    const before = [key('a', 0), key('b', 1), key(undefined, 2)]
    const after = succeed(before, [key(undefined, 2), key('b', 1), key('a', 0)])
    expect(after).toEqual([before[2], before[1], before[0]])
    expect(after[0]).toBe(before[2])
    expect(after[2]).toBe(before[0])
  })

  test('switches off what it holds no longer, and on again what comes back', () => {
    const [a, b] = [key('a', 0), key('b', 1)]
    const kept = succeed([a, b], [key('b', 1)])
    expect([a.active, b.active]).toEqual([false, true])
    expect(kept[0]).toBe(b)
    b.active = false
    expect(succeed([b], [key('b', 1)])[0]).toBe(b)
    expect(b.active).toBe(true)
  })

  test.each([
    ['other material under the same kid', key('a', 1)],
    ['another kid for the same material', key('z', 0)],
    ['other algorithms for the same key', key('a', 0, ['ES256'])],
    ['more algorithms for the same key', key('a', 0, ['EdDSA', 'ES256'])],
  ])('takes %s for a new key', (_, next) => {
    const old = key('a', 0)
    expect(succeed([old], [next])).toEqual([next])
    expect(succeed([old], [next])[0]).toBe(next)
    expect([old.active, next.active]).toEqual([false, true])
  })
})
