import { describe, expect, it } from 'vitest'
import { keyFromKeyObject, keyFromSecret } from '../../src/jwt/key-material.ts'
import { StaticKeys } from '../../src/jwt/static-keys.ts'
import { ecPair, rsaPair } from './tokens.ts'

const es = (kid?: string) => keyFromKeyObject(ecPair('P-256').publicKey, ['ES256'], kid)
const rs = (kid?: string) => keyFromKeyObject(rsaPair().publicKey, ['RS256', 'PS256'], kid)

describe('keys of the configuration', () => {
  it('are found by kid and algorithm', () => {
    const [a, b, c] = [es('a'), es('b'), rs('a')]
    const keys = new StaticKeys([a, b, c])
    expect(keys.keysFor('a', 'ES256')).toEqual([a])
    expect(keys.keysFor('b', 'ES256')).toEqual([b])
    expect(keys.keysFor('a', 'PS256')).toEqual([c])
    expect(keys.keysFor('b', 'PS256')).toEqual([])
    expect(keys.keysFor('a', 'HS256')).toEqual([])
  })

  it('are only compared with a kid: it is no path, no query and no member of an object', () => {
    const keys = new StaticKeys([es('a')])
    for (const kid of ['A', 'a ', '', '/dev/null', '__proto__', 'constructor', "a' OR '1'='1"]) {
      expect(keys.keysFor(kid, 'ES256')).toEqual([])
    }
  })

  it('are tried for any kid that no other key has, if the configuration gives them none', () => {
    const [named, plain] = [es('a'), es()]
    const keys = new StaticKeys([named, plain])
    expect(keys.keysFor('a', 'ES256')).toEqual([named])
    expect(keys.keysFor('of the issuer', 'ES256')).toEqual([plain])
  })

  it('are all tried for a token without kid, as long as they are few', () => {
    const four = [es('a'), es('b'), es('c'), es()]
    expect(new StaticKeys(four).keysFor(undefined, 'ES256')).toEqual(four)
    expect(new StaticKeys([...four, es('d')]).keysFor(undefined, 'ES256')).toEqual([four[3]])
    expect(new StaticKeys(four).keysFor(undefined, 'RS256')).toEqual([])
  })

  it('are refused when a token could mean two of them, or when too many would have to be tried', () => {
    expect(() => new StaticKeys([es('a'), es('b'), es('a')])).toThrow('has two keys with the kid "a"')
    expect(() => new StaticKeys([es(), es(), es(), es(), es()])).toThrow(
      'has 5 keys without a kid for ES256; at most 4',
    )
  })

  it('are there at once and make nothing for a request', () => {
    const keys = new StaticKeys([keyFromSecret('a secret of thirty-two bytes and more', ['HS256'])])
    expect(keys.keysFor('x', 'HS256')).toBe(keys.keysFor('y', 'HS256'))
    expect(keys.keysFor(undefined, 'HS256')).toBe(keys.keysFor(undefined, 'HS256'))
    keys.keepFresh()
    keys.close()
    expect(keys.keysFor('x', 'HS256')).toHaveLength(1)
  })
})
