import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyFromJwk, keysFromJwks } from '../../src/jwt/json-web-keys.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../../src/jwt/key-set.ts'
import { ecPair, encode, jwkOf, rsaOf, rsaPair } from './tokens.ts'

const rsa = jwkOf(rsaPair().publicKey)
const ec = jwkOf(ecPair('P-256').publicKey)
const otherEc = jwkOf(ecPair('P-256').publicKey)
const ed = jwkOf(generateKeyPairSync('ed25519').publicKey)
const oct = { kty: 'oct', k: encode('a secret of thirty-two bytes and more') }

/** The message of what is thrown; fails when nothing is. */
function faultOf(jwk: unknown, algorithms: readonly JwtAlgorithm[] = JWT_ALGORITHMS): string {
  try {
    keyFromJwk(jwk, algorithms)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('it was taken')
}

const algorithmsOf = (jwk: unknown, algorithms: readonly JwtAlgorithm[] = JWT_ALGORITHMS) => [
  ...keyFromJwk(jwk, algorithms).algorithms,
]

describe('a JSON Web Key', () => {
  it('verifies the configured algorithms of its type and curve', () => {
    expect(algorithmsOf(rsa)).toEqual(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
    expect(algorithmsOf(rsa, ['PS256', 'ES256', 'HS256'])).toEqual(['PS256'])
    expect(algorithmsOf(ec)).toEqual(['ES256'])
    expect(algorithmsOf(jwkOf(ecPair('P-384').publicKey))).toEqual(['ES384'])
    expect(algorithmsOf(jwkOf(ecPair('P-521').publicKey))).toEqual(['ES512'])
    expect(algorithmsOf(ed)).toEqual(['EdDSA', 'Ed25519'])
    expect(algorithmsOf(jwkOf(generateKeyPairSync('ed448').publicKey))).toEqual(['EdDSA'])
    expect(algorithmsOf(oct, ['RS256', 'HS256'])).toEqual(['HS256'])
  })

  it('verifies its own algorithm only, if it names one', () => {
    expect(algorithmsOf({ ...rsa, alg: 'RS512' })).toEqual(['RS512'])
    expect(algorithmsOf({ ...oct, alg: 'HS256' })).toEqual(['HS256'])
    expect(faultOf({ ...rsa, alg: 'RS512' }, ['RS256'])).toBe('has an "alg" that is none of the algorithms RS256')
    for (const alg of ['none', 'RSA-OAEP', 'rs256', '', null, 1, ['RS256'], '__proto__']) {
      expect(faultOf({ ...rsa, alg })).toMatch(/^has an "alg" that is none/)
    }
  })

  it('never verifies what is for another type of key: the classic confusion', () => {
    expect(faultOf({ ...rsa, alg: 'HS256' })).toMatch(/^is a key of type rsa .* fits none of the algorithms HS256$/)
    expect(faultOf({ ...ec, alg: 'RS256' })).toMatch(/fits none of the algorithms RS256$/)
    expect(faultOf({ ...ec, alg: 'ES384' })).toMatch(/fits none of the algorithms ES384$/)
    expect(faultOf({ ...oct, alg: 'RS256' })).toMatch(/^is a secret/)
  })

  it('has its own kid, or the one that is given', () => {
    expect(keyFromJwk({ ...ec, kid: 'one' }, ['ES256']).kid).toBe('one')
    expect(keyFromJwk({ ...ec, kid: 'one' }, ['ES256'], 'two').kid).toBe('two')
    expect(keyFromJwk(ec, ['ES256']).kid).toBeUndefined()
    for (const kid of ['', 1, null, ['one'], 'k'.repeat(257)]) expect(faultOf({ ...ec, kid })).toMatch(/^has a kid/)
  })

  it('is for signatures, by everything that it says', () => {
    for (const purpose of [{ use: 'sig' }, { key_ops: ['verify'] }, { key_ops: ['sign', 'verify'], use: 'sig' }]) {
      expect(algorithmsOf({ ...ec, ...purpose })).toEqual(['ES256'])
    }
    for (const use of ['enc', '', 'SIG', null, 1, ['sig']]) expect(faultOf({ ...ec, use })).toMatch(/"use"$/)
    for (const key_ops of [[], ['sign'], ['encrypt'], 'verify', null, {}, [['verify']]]) {
      expect(faultOf({ ...ec, key_ops })).toMatch(/"key_ops"$/)
    }
    expect(faultOf({ ...oct, use: 'enc' })).toMatch(/"use"$/)
  })

  it('is refused when it is private', () => {
    for (const { privateKey } of [rsaPair(), ecPair('P-256'), generateKeyPairSync('ed25519')]) {
      expect(faultOf(jwkOf(privateKey))).toMatch(/^has the member "d" of a private key/)
    }
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']) {
      expect(faultOf({ ...rsa, [name]: '' })).toContain(`"${name}"`)
    }
    expect(faultOf({ ...oct, d: 'AQAB' })).toContain('"d"')
  })

  it('is refused when it is weak', () => {
    const short = jwkOf(rsaOf(2n ** 1_023n + 1_155n))
    expect(faultOf(short)).toBe('is not safe: its modulus has 1024 bits, at least 2048 are needed')
    expect(faultOf({ ...rsa, e: 'AQ' })).toContain('exponent')
    expect(faultOf({ ...ed, x: encode(Buffer.alloc(32)) })).toContain('small order')
    expect(faultOf({ ...oct, k: encode('short') }, ['HS256'])).toMatch(/^has 5 bytes/)
    expect(faultOf({ ...oct, k: '' }, ['HS256'])).toBe('has no "k"')
  })

  it('is refused when its point is not on its curve, or none at all', () => {
    const y = Buffer.from(ec.y!, 'base64url')
    y[31]! ^= 1
    const zero = encode(Buffer.alloc(32))
    for (const bad of [
      { ...ec, y: encode(y) },
      { ...ec, x: ec.y, y: ec.x },
      { ...ec, x: zero, y: zero },
      { ...ec, y: otherEc.y },
    ]) {
      expect(faultOf(bad)).toBe('is no EC key: its numbers do not make one')
    }
  })

  it.each([
    ['a coordinate too short', { ...ec, x: encode(Buffer.alloc(31, 1)) }, 'has a "x" of other than 32 bytes'],
    ['a coordinate too long', { ...ec, x: encode(Buffer.alloc(33, 1)) }, 'has a "x" of other than 32 bytes'],
    ['no coordinate', { kty: 'EC', crv: 'P-256', x: ec.x }, 'has no "y"'],
    ['a coordinate of another kind', { ...ec, x: 5 }, 'has no "x"'],
    ['padding', { ...ed, x: `${ed.x}=` }, 'has a "x" that is not base64url'],
    ['plain base64', { ...rsa, n: `${rsa.n!.slice(0, -2)}+/` }, 'has a "n" that is not base64url'],
    ['whitespace', { ...rsa, n: ` ${rsa.n}` }, 'has a "n" that is not base64url'],
    ['no modulus', { kty: 'RSA', e: 'AQAB' }, 'has no "n"'],
    ['no exponent', { kty: 'RSA', n: rsa.n, e: '' }, 'has no "e"'],
    ['another curve', { ...ec, crv: 'secp256k1' }, 'is on a curve other than P-256, P-384 and P-521'],
    ['a curve that is none', { ...ec, crv: ['P-256'] }, 'is on a curve other than P-256, P-384 and P-521'],
    ['a curve for key agreement', { ...ed, crv: 'X25519' }, 'is on a curve other than Ed25519 and Ed448'],
    ['another type', { kty: 'AKP', alg: 'RS256', pub: 'AAAA' }, 'has a kty other than RSA, EC and OKP'],
    ['a type in another case', { ...rsa, kty: 'rsa' }, 'has a kty other than RSA, EC and OKP'],
    ['no type', {}, 'has a kty other than RSA, EC and OKP'],
    ['a list', [], 'is not a JSON Web Key: not an object'],
    ['null', null, 'is not a JSON Web Key: not an object'],
    ['a text', 'key', 'is not a JSON Web Key: not an object'],
  ])('is refused with %s', (_, jwk, message) => {
    expect(faultOf(jwk)).toBe(message)
  })
})

describe('a JSON Web Key Set', () => {
  const read = (keys: unknown[], algorithms: readonly JwtAlgorithm[] = ['RS256', 'ES256', 'EdDSA']) =>
    keysFromJwks({ keys }, algorithms, 10)

  it('gives all keys that can be used', () => {
    const { keys, refused } = read([{ ...rsa, kid: 'a' }, { ...ec, kid: 'b' }, ed])
    expect(keys.map(({ kid, algorithms, active }) => [kid, ...algorithms, active])).toEqual([
      ['a', 'RS256', true],
      ['b', 'ES256', true],
      [undefined, 'EdDSA', true],
    ])
    expect(refused).toEqual([])
  })

  it('leaves unfit keys out, each with its reason, and says nothing of keys for encryption', () => {
    const { keys, refused } = read([
      { ...rsa, kid: 'enc', use: 'enc' },
      { ...rsa, kid: 'alg', alg: 'RS512' },
      { kty: 'XYZ', kid: 'new' },
      null,
      'text',
      { ...ec, kid: 'good' },
      { ...jwkOf(rsaOf(2n ** 1_023n + 1_155n)), kid: 'short' },
    ])
    expect(keys.map(({ kid }) => kid)).toEqual(['good'])
    expect(refused).toEqual([
      'the key "alg" has an "alg" that is none of the algorithms RS256, ES256, EdDSA',
      'the key "new" has a kty other than RSA, EC and OKP',
      'the key at 3 is not a JSON Web Key: not an object',
      'the key at 4 is not a JSON Web Key: not an object',
      'the key "short" is not safe: its modulus has 1024 bits, at least 2048 are needed',
    ])
  })

  it('says it when a private key or a secret is being published, and does not use it', () => {
    const { keys, refused } = read(
      [jwkOf(ecPair('P-256').privateKey, { kid: 'p' }), { ...oct, kid: 's' }],
      JWT_ALGORITHMS,
    )
    expect(keys).toEqual([])
    expect(refused[0]).toMatch(/^the key "p" has the member "d" of a private key: a private key is being published/)
    expect(refused[1]).toBe('the key "s" is a secret that is being published: whoever reads it can sign')
  })

  it('leaves out every key of a kid that several could be meant by', () => {
    const { keys, refused } = read([
      { ...ec, kid: 'twice' },
      { ...otherEc, kid: 'good' },
      { ...otherEc, kid: 'twice' },
      { ...jwkOf(ecPair('P-256').publicKey), kid: 'twice' },
    ])
    expect(keys.map(({ kid }) => kid)).toEqual(['good'])
    expect(refused).toEqual(Array(3).fill('the key "twice" shares its kid with another one'))
  })

  it('keeps keys of one kid that no token can mean at once', () => {
    const { keys, refused } = read([
      { ...ec, kid: 'a' },
      { ...rsa, kid: 'a' },
      { ...ed, kid: 'a' },
    ])
    expect(keys.map(({ algorithms }) => [...algorithms])).toEqual([['ES256'], ['RS256'], ['EdDSA']])
    expect(refused).toEqual([])
  })

  it('keeps one of two entries that are the same', () => {
    const { keys, refused } = read([
      { ...ec, kid: 'a' },
      { ...ec, kid: 'a', use: 'sig' },
    ])
    expect(keys).toHaveLength(1)
    expect(refused).toEqual(['the key "a" is there twice'])
  })

  it('is refused as a whole when it is none, or larger than allowed', () => {
    for (const document of [
      undefined,
      null,
      [],
      'keys',
      1,
      {},
      { keys: {} },
      { keys: null },
      { keys: 'a' },
      [{ keys: [] }],
    ]) {
      expect(() => keysFromJwks(document, ['RS256'], 10)).toThrow('is not a JSON Web Key Set: it has no list "keys"')
    }
    expect(() => read(Array(11).fill(ec))).toThrow('holds 11 keys, at most 10 are taken')
    expect(keysFromJwks({ keys: [] }, ['RS256'], 10)).toEqual({ keys: [], refused: [] })
  })

  it('cannot write into logs what it likes', () => {
    const { refused } = read([{ kty: 'XYZ', kid: `\r\n2026-01-01 all is well\u001b[2J${'x'.repeat(100_000)}` }])
    expect(refused[0]).toMatch(/^[\x20-\x7e…]{1,200}$/)
  })

  it('of any content gives only keys that were there and fit, and never throws for one of them', () => {
    const member = fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'k', 'd', 'kid', 'use', 'key_ops', 'alg')
    const spoilt = fc.tuple(fc.constantFrom(rsa, ec, ed, oct), fc.dictionary(member, fc.jsonValue(), { maxKeys: 2 }))
    const entry = fc.oneof(
      spoilt.map(([jwk, more]) => ({ ...jwk, ...more })),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 10 }), (entries) => {
        const { keys, refused } = read(entries)
        expect(keys.length + refused.length).toBeLessThanOrEqual(entries.length)
        for (const { key, algorithms } of keys) {
          expect(key.type).toBe('public')
          expect(algorithms.size).toBeGreaterThan(0)
        }
      }),
    )
  })
})
