import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_ENCODED_BYTES, MAX_PAIR_BYTES, parseBasic } from '../../src/basic/credentials.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: what RFC 7617 §2 forbids
const CONTROLS = /[\x00-\x1f\x7f]/

function base64(bytes: string | Uint8Array): string {
  return Buffer.from(bytes as string).toString('base64')
}

describe('parseBasic()', () => {
  test('reads the examples of RFC 7617', () => {
    expect(parseBasic('QWxhZGRpbjpvcGVuIHNlc2FtZQ==')).toEqual({ username: 'Aladdin', password: 'open sesame' })
    // §2.1, with the pound sign in UTF-8.
    expect(parseBasic('dGVzdDoxMjPCow==')).toEqual({ username: 'test', password: '123£' })
  })

  test('ends the name at the first colon; either may be empty', () => {
    expect(parseBasic(base64('a:b:c'))).toEqual({ username: 'a', password: 'b:c' })
    expect(parseBasic(base64(':b'))).toEqual({ username: '', password: 'b' })
    expect(parseBasic(base64('a:'))).toEqual({ username: 'a', password: '' })
  })

  test('reads back any name and password without controls', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((each) => !CONTROLS.test(each))
    fc.assert(
      fc.property(
        text.filter((name) => !name.includes(':')),
        text,
        (username, password) => {
          expect(parseBasic(base64(`${username}:${password}`))).toEqual({ username, password })
        },
      ),
    )
  })

  test('refuses what is not read by everyone in the same way', () => {
    const refused: Record<string, string> = {
      nothing: '',
      'no colon': base64('alice'),
      'no padding': 'QWxhZGRpbjpvcGVuIHNlc2FtZQ',
      'padding too short': 'QWxhZGRpbjpvcGVuIHNlc2FtZQ=',
      'padding too long': 'QWxhZGRpbjpvcGVuIHNlc2FtZQ===',
      'bits left over': 'QWxhZGRpbjpvcGVuIHNlc2FtZR==',
      base64url: Buffer.from('a:???>>>').toString('base64url'),
      'space within': 'QWxh ZGRpbjpvcGVuIHNlc2FtZQ==',
      'two tokens in one': `${base64('a:bb')}${base64('c:dd')}`,
      'latin-1': base64(Buffer.from('test:123£', 'latin1')),
      'half a character': base64(Buffer.from([0x61, 0x3a, 0xc2])),
      'overlong UTF-8': base64(Buffer.from([0x61, 0xc0, 0xba, 0x62])),
      'a surrogate': base64(Buffer.from([0x61, 0x3a, 0xed, 0xa0, 0x80])),
      NUL: base64('a:b\0c'),
      'a line break': base64('a:b\r\nx'),
      'a control in the name': base64('a\tb:c'),
      DEL: base64('a:\x7f'),
    }
    for (const [what, token] of Object.entries(refused)) expect([what, parseBasic(token)]).toEqual([what, undefined])
  })

  test('never reads one pair from two tokens, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.base64String(), fc.string(), fc.uint8Array().map(base64)), (token) => {
        const read = parseBasic(token)
        if (read !== undefined) expect(base64(`${read.username}:${read.password}`)).toBe(token)
      }),
      { numRuns: 2_000 },
    )
  })

  test('reads up to its bound and not beyond', () => {
    const longest = base64(`a:${'b'.repeat(MAX_PAIR_BYTES - 2)}`)
    expect(longest.length).toBeLessThanOrEqual(MAX_ENCODED_BYTES)
    expect(parseBasic(longest)?.username).toBe('a')
    expect(parseBasic(base64(`a:${'b'.repeat(MAX_PAIR_BYTES - 1)}`))).toBeUndefined()
    expect(parseBasic(base64(`a:${'b'.repeat(1_000_000)}`))).toBeUndefined()
  })
})
