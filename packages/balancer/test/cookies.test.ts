import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readCookie, withoutCookie } from '../src/cookies.ts'

describe('a cookie of a request', () => {
  it.each([
    ['sid=1', '1'],
    ['a=2; sid=1; b=3', '1'],
    ['a=2;sid=1;b=3', '1'],
    ['  sid = 1 ', '1'],
    ['sid="1"', '1'],
    ['sid=1=2', '1=2'],
    ['sid=1; sid=2', '1'],
    ['sid=', ''],
    ['sid', undefined],
    ['xsid=1', undefined],
    ['sidx=1', undefined],
    ['a=sid=1', undefined],
    ['SID=1', undefined],
    [';;;', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s: sid is %s', (header, value) => {
    expect(readCookie(header, 'sid')).toBe(value)
  })
})

describe('a Cookie header without one of its cookies', () => {
  it.each([
    ['sid=1', undefined],
    ['a=2; sid=1; b=3', 'a=2; b=3'],
    ['sid=1; a=2; sid=3', 'a=2'],
    ['a=2;xsid=1;;b="x y"', 'a=2; xsid=1; b="x y"'],
    [' ; ', undefined],
  ])('%s becomes %s', (header, rest) => {
    expect(withoutCookie(header, 'sid')).toBe(rest)
  })

  it('has none of the name, and all the others in their order, whatever was sent', () => {
    const part = fc.oneof(fc.constantFrom('sid=1', 'sid', ' sid =2', 'a=1', 'b', '', ' '), fc.string({ maxLength: 6 }))
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const rest = withoutCookie(parts.join(';'), 'sid') ?? ''
        expect(readCookie(rest, 'sid')).toBeUndefined()
        const others = parts
          .join(';')
          .split(';')
          .map((one) => one.trim())
          .filter((one) => one !== '' && readCookie(one, 'sid') === undefined)
        expect(rest).toBe(others.join('; '))
      }),
    )
  })
})
