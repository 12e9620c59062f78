import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CompactToken, parseToken } from '../../src/jwt/compact-token.ts'
import { JWT_ALGORITHMS } from '../../src/jwt/key-set.ts'
import { encode, tokenOf } from './tokens.ts'

const HEADER = { alg: 'RS256', typ: 'at+jwt', kid: 'one' }
const CLAIMS = { sub: 'ann', exp: 2_000_000_000 }
const GOOD = tokenOf(HEADER, CLAIMS)

const parse = (token: string) => parseToken(token, 8_192)
const parsed = (token: string): CompactToken => {
  const result = parse(token)
  if (typeof result === 'string') throw new Error(`refused: ${result}`)
  return result
}

describe('a token in form', () => {
  it('comes apart into what was signed, the signature, and what it says', () => {
    expect(parse(GOOD)).toEqual({
      alg: 'RS256',
      kid: 'one',
      typ: 'at+jwt',
      signingInput: GOOD.slice(0, GOOD.lastIndexOf('.')),
      signature: Buffer.from('signed'),
      claims: CLAIMS,
    })
  })

  it('needs neither kid nor typ', () => {
    expect(parsed(tokenOf({ alg: 'ES256' }, {}))).toMatchObject({ kid: undefined, typ: undefined, claims: {} })
  })

  it.each(JWT_ALGORITHMS)('is read with %s', (alg) => {
    expect(parsed(tokenOf({ alg }, CLAIMS)).alg).toBe(alg)
  })

  it('may name its key by thumbprint and have header members that mean nothing here', () => {
    expect(parsed(tokenOf({ ...HEADER, x5t: 'abc', 'x5t#S256': 'abc', cty: 'json', foo: [1] }, CLAIMS)).kid).toBe('one')
  })

  it('keeps whitespace, escapes and characters of all planes in its JSON', () => {
    const claims = parsed(
      tokenOf('{\r\n "alg" : "RS256" }', '{ "a:b{" : "\\"}:{[ \\\\", "ü😀" : "\\ud83d\\ude00" } '),
    ).claims
    expect(claims).toEqual({ 'a:b{': '"}:{[ \\', 'ü😀': '😀' })
  })

  it('has claims that no stage can change for the next request', () => {
    const { claims } = parsed(tokenOf(HEADER, { roles: [{ name: 'a' }] }))
    expect(Object.isFrozen(claims)).toBe(true)
    expect(Object.isFrozen((claims.roles as object[])[0])).toBe(true)
  })

  it('gives back any JSON that an issuer may write', () => {
    const claims = fc.dictionary(
      fc.string({ unit: 'grapheme', maxLength: 8 }),
      fc.jsonValue({ stringUnit: 'grapheme' }),
      {
        maxKeys: 8,
        noNullPrototype: true,
      },
    )
    fc.assert(
      fc.property(claims, (claims) => {
        fc.pre(!JSON.stringify(claims).includes('__proto__'))
        expect(parsed(tokenOf(HEADER, claims)).claims).toEqual(JSON.parse(JSON.stringify(claims)))
      }),
    )
  })
})

describe('a token out of form', () => {
  it('is refused by its length before anything else', () => {
    expect(parseToken(GOOD, GOOD.length)).not.toBeTypeOf('string')
    expect(parseToken(GOOD, GOOD.length - 1)).toBe('too-long')
    expect(parse('.'.repeat(10_000))).toBe('too-long')
  })

  it.each([
    ['nothing', '', 'malformed'],
    ['one part', 'abc', 'malformed'],
    ['two parts', 'abc.def', 'malformed'],
    ['four parts', `${GOOD}.abc`, 'malformed'],
    ['six parts', 'a.b.c.d.e.f', 'malformed'],
    ['only dots', '.'.repeat(8_000), 'malformed'],
    ['five parts, which is a JWE', 'a.b.c.d.e', 'encrypted'],
    ['a JWE with empty parts', '....', 'encrypted'],
    ['no signature', GOOD.slice(0, GOOD.lastIndexOf('.') + 1), 'unsigned'],
    ['no header', `.${encode('{}')}.abcd`, 'not-json'],
    ['no payload', `${encode('{"alg":"RS256"}')}..abcd`, 'not-json'],
    ['two empty parts', '..abcd', 'not-json'],
  ])('is refused: %s', (_, token, reason) => {
    expect(parse(token)).toBe(reason)
  })

  it.each([
    ['padding', (part: string) => `${part}=`],
    ['a space in front', (part: string) => ` ${part}`],
    ['a space behind', (part: string) => `${part} `],
    ['a line break within', (part: string) => `${part.slice(0, 4)}\n${part.slice(4)}`],
    ['the letters of plain base64', (part: string) => `${part.slice(0, -4)}+/+/`],
    ['a character of no alphabet', (part: string) => `${part.slice(0, 4)}!${part.slice(5)}`],
    ['a character beyond ASCII', (part: string) => `${part.slice(0, 4)}Ā${part.slice(5)}`],
    ['a NUL', (part: string) => `${part.slice(0, 4)}\0${part.slice(5)}`],
    ['one letter too many', (part: string) => `${part}${'A'.repeat((5 - (part.length % 4)) % 4)}`],
  ])('is refused: %s in any part', (_, spoil) => {
    const parts = tokenOf({ alg: 'RS256' }, { a: 12 }, 'sixsix').split('.')
    for (const at of [0, 1, 2]) {
      expect(parse(parts.map((part, i) => (i === at ? spoil(part) : part)).join('.'))).toBe('encoding')
    }
  })

  it('is refused: stray bits behind the last byte, by which one token would have several spellings', () => {
    // One byte takes two letters, of which four bits are left over.
    const token = tokenOf(HEADER, CLAIMS, Buffer.from([0xff]))
    expect(parse(token)).not.toBeTypeOf('string')
    const stem = token.slice(0, -1)
    expect(token.at(-1)).toBe('w')
    for (const last of 'xyz0123456789-_') expect(parse(stem + last)).toBe('encoding')
  })

  it.each([
    ['null', 'null', 'not-an-object'],
    ['a list', '[]', 'not-an-object'],
    ['a text', '"alg"', 'not-an-object'],
    ['a number', '1', 'not-an-object'],
    ['no JSON', '{alg:1}', 'not-json'],
    ['JSON and more', '{} {}', 'not-json'],
    ['a byte order mark', '\ufeff{}', 'not-json'],
    ['a lone surrogate in a text', '{"a":"\\ud800"}', 'not-json'],
    ['a lone surrogate in a name', '{"a":{"\\udc00":1}}', 'not-json'],
    ['a prototype', '{"__proto__":{"alg":"none"}}', 'not-json'],
    ['a prototype deep within', '{"a":[{"__proto__":1}]}', 'not-json'],
    ['a prototype, escaped', '{"\\u005f_proto__":1}', 'not-json'],
  ])('is refused: %s as header or payload', (_, json, reason) => {
    expect(parse(tokenOf(json, CLAIMS))).toBe(reason)
    expect(parse(tokenOf(HEADER, json))).toBe(reason)
  })

  it('is refused: bytes that are not UTF-8', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      const json = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')])
      expect(parse(`${encode(JSON.stringify(HEADER))}.${encode(json)}.abcd`)).toBe('not-utf8')
    }
  })

  it('is refused: a member twice, since another reader may take the other one', () => {
    for (const json of [
      '{"alg":"RS256","alg":"RS256"}',
      '{"alg":"none","alg":"RS256"}',
      '{"alg":"RS256","\\u0061lg":"RS256"}',
      '{"alg":"RS256","a":{"b":1,"b":1}}',
      '{"alg":"RS256","a":[[{"b":1,"c":2,"b":{}}]]}',
      '{"alg":"RS256","":0,"":0}',
    ]) {
      expect(parse(tokenOf(json, CLAIMS))).toBe('duplicate-member')
      expect(parse(tokenOf(HEADER, json))).toBe('duplicate-member')
    }
  })

  it('is refused whichever member of whatever claims is written twice', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z:{}"\\]{1,6}$/), fc.jsonValue(), { minKeys: 1, noNullPrototype: true }),
        fc.nat(),
        (claims, at) => {
          const members = Object.entries(claims).map(
            ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
          )
          const [name] = Object.keys(claims).slice(at % members.length)
          members.push(`${JSON.stringify(name)}:"other"`)
          expect(parse(tokenOf(HEADER, `{${members.join(',')}}`))).toMatch(/^duplicate-member$|^not-json$|^too-deep$/)
        },
      ),
    )
  })

  it('is refused: more levels than any issuer writes, without following them down', () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
    expect(parse(tokenOf(HEADER, nested(32)))).not.toBeTypeOf('string')
    expect(parse(tokenOf(HEADER, nested(33)))).toBe('too-deep')
    // Side by side is not one within the other.
    expect(parse(tokenOf(HEADER, { roles: Array(100).fill({ a: [] }) }))).not.toBeTypeOf('string')
    expect(parseToken(tokenOf(HEADER, nested(200_000)), 1_000_000)).toBe('too-deep')
    expect(parseToken(tokenOf(HEADER, '{"a":'.repeat(200_000)), 2_000_000)).toBe('too-deep')
  })

  it('takes the same trouble for each of its bytes, whatever they are', () => {
    for (const json of [
      `{"a":"${':'.repeat(500_000)}"}`,
      `{"a":"${'\\"'.repeat(250_000)}"}`,
      `[${'[],'.repeat(150_000)}1]`,
    ]) {
      const start = process.cpuUsage()
      parseToken(tokenOf(HEADER, json), 2_000_000)
      expect(process.cpuUsage(start).user).toBeLessThan(1_000_000)
    }
  })
})

describe('a header that asks for something else', () => {
  const wrong: readonly unknown[] = [
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    ' RS256',
    'rs256',
    'RS256 ',
    'RS1',
    'HS1',
    'RSA-OAEP',
    'dir',
    'ES256K',
    '__proto__',
    'constructor',
    'toString',
    ['RS256'],
    [],
    {},
    null,
    true,
    0,
    { toString: 'RS256' },
  ]
  it.each(wrong.map((alg) => ({ alg })))('is refused with the algorithm $alg', ({ alg }) => {
    expect(parse(tokenOf({ alg }, CLAIMS))).toBe('algorithm')
  })

  it('is refused without an algorithm, or with one under another name', () => {
    expect(parse(tokenOf({ typ: 'JWT' }, CLAIMS))).toBe('algorithm')
    expect(parse(tokenOf({ ALG: 'RS256' }, CLAIMS))).toBe('algorithm')
  })

  it.each([
    ['crit', ['exp'], 'critical-header'],
    ['crit', [], 'critical-header'],
    ['crit', null, 'critical-header'],
    ['b64', false, 'unencoded-payload'],
    ['b64', true, 'unencoded-payload'],
    ['zip', 'DEF', 'compressed'],
    ['enc', 'A256GCM', 'encrypted'],
    ['jwk', { kty: 'oct', k: 'AAAA' }, 'embedded-key'],
    ['jwk', null, 'embedded-key'],
    ['jku', 'https://attacker.example/keys', 'embedded-key'],
    ['x5u', 'http://169.254.169.254/', 'embedded-key'],
    ['x5c', ['MIIB'], 'embedded-key'],
    ['cty', 'JWT', 'nested'],
    ['cty', 'jwt', 'nested'],
    ['cty', 'application/JWT', 'nested'],
    ['cty', ['JWT'], 'nested'],
    ['kid', 1, 'malformed-kid'],
    ['kid', null, 'malformed-kid'],
    ['kid', ['one'], 'malformed-kid'],
    ['kid', '', 'malformed-kid'],
    ['kid', 'k'.repeat(257), 'malformed-kid'],
    ['typ', 1, 'malformed-typ'],
    ['typ', null, 'malformed-typ'],
    ['typ', ['at+jwt'], 'malformed-typ'],
  ])('is refused with %s: %j', (name, value, reason) => {
    expect(parse(tokenOf({ ...HEADER, [name]: value }, CLAIMS))).toBe(reason)
  })

  it('hands on a kid of any text, which is only ever compared', () => {
    for (const kid of ['../../../dev/null', "' OR 1=1 --", 'https://attacker.example', '__proto__', 'k'.repeat(256)]) {
      expect(parsed(tokenOf({ ...HEADER, kid }, CLAIMS)).kid).toBe(kid)
    }
  })
})

describe('whatever a client sends', () => {
  it('is a token or a reason, and never throws', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json().map(encode),
      fc.uint8Array().map((bytes) => encode(Buffer.from(bytes))),
      fc.constantFrom(encode('{"alg":"RS256"}'), encode('{}')),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const result = parse(parts.join('.'))
        if (typeof result === 'string') {
          expect(result).toMatch(/^[a-z0-9-]+$/)
          return
        }
        // What is taken has one spelling only.
        const [, payload, signature] = parts.join('.').split('.')
        expect(result.signature.toString('base64url')).toBe(signature)
        expect(result.claims).toEqual(JSON.parse(Buffer.from(payload!, 'base64url').toString()))
      }),
      { numRuns: 500 },
    )
  })
})
