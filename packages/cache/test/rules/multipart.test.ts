import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { multipartBody, multipartType } from '../../src/rules/multipart.ts'

const TWO = [
  { part: { first: 0, last: 1 }, pieces: [Buffer.from('ab')] },
  { part: { first: 5, last: 7 }, pieces: [Buffer.from('f'), Buffer.from('gh')] },
]

describe('an answer of several parts', () => {
  it('names type and range of each part', () => {
    const { pieces, bytes } = multipartBody(TWO, 'text/plain', 10, 'XYZ')
    const text = Buffer.concat(pieces).toString()
    expect(text).toBe(
      [
        ...['--XYZ', 'Content-Type: text/plain', 'Content-Range: bytes 0-1/10', '', 'ab'],
        ...['--XYZ', 'Content-Type: text/plain', 'Content-Range: bytes 5-7/10', '', 'fgh'],
        ...['--XYZ--', ''],
      ].join('\r\n'),
    )
    expect(bytes).toBe(text.length)
  })

  it('says nothing of a type or a length that is not known', () => {
    const text = Buffer.concat(multipartBody(TWO, undefined, undefined, 'XYZ').pieces).toString()
    expect(text).not.toContain('Content-Type')
    expect(text).toContain('Content-Range: bytes 5-7/*\r\n\r\nfgh')
  })

  it('has the boundary in its own type', () => {
    expect(multipartType('XYZ')).toBe('multipart/byteranges; boundary=XYZ')
  })

  it('passes the content on without copying it', () => {
    const { pieces } = multipartBody(TWO, 'text/plain', 10, 'XYZ')
    for (const piece of TWO.flatMap(({ pieces }) => pieces)) expect(pieces).toContain(piece)
  })

  it('writes bytes of a type as they were received', () => {
    const { pieces, bytes } = multipartBody(TWO, 'text/\u00fc', 10, 'XYZ')
    const whole = Buffer.concat(pieces)
    expect(whole.includes(Buffer.from('text/\u00fc', 'latin1'))).toBe(true)
    expect(bytes).toBe(whole.length)
  })

  it('counts its bytes right', () => {
    const part = fc
      .tuple(fc.nat(1_000_000), fc.array(fc.uint8Array({ minLength: 1, maxLength: 5 }), { minLength: 1 }))
      .map(([first, pieces]) => {
        const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
        return { part: { first, last: first + bytes - 1 }, pieces }
      })
    fc.assert(
      fc.property(fc.array(part), fc.option(fc.nat(), { nil: undefined }), (parts, completeBytes) => {
        const { pieces, bytes } = multipartBody(parts, 'a/b', completeBytes, 'boundary')
        expect(bytes).toBe(Buffer.concat(pieces).length)
      }),
    )
  })
})
