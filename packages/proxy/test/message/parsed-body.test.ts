import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import querystring from 'node:querystring'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isBodyRead, rebuildBody } from '../../src/message/parsed-body.ts'

// The parser of `express.urlencoded({ extended: true })`, from where Express has it.
const qs = createRequire(createRequire(import.meta.url).resolve('express'))('qs') as {
  parse(text: string): Record<string, unknown>
}

interface Given {
  readonly body?: unknown
  readonly rawBody?: unknown
  readonly headers?: Record<string, string>
  readonly readableEnded?: boolean
}

function rebuilt(contentType: string, given: Given) {
  const made = rebuildBody({ readableEnded: true, headers: {}, ...given } as unknown as IncomingMessage, contentType)
  return made && { text: made.bytes.toString('utf8'), contentType: made.contentType, exact: made.exact }
}

const FORM = 'application/x-www-form-urlencoded'

describe('isBodyRead()', () => {
  it('is true once somebody has begun', () => {
    const untouched = { readableDidRead: false, readableEnded: false }
    expect(isBodyRead(untouched as IncomingMessage)).toBe(false)
    expect(isBodyRead({ ...untouched, readableDidRead: true } as IncomingMessage)).toBe(true)
    expect(isBodyRead({ ...untouched, readableEnded: true } as IncomingMessage)).toBe(true)
    expect(isBodyRead({ ...untouched, rawBody: Buffer.alloc(0) } as unknown as IncomingMessage)).toBe(true)
  })
})

describe('rebuildBody()', () => {
  it('writes any JSON value so that it reads the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(typeof value !== 'string')
        expect(JSON.parse(rebuilt('application/json', { body: value })!.text)).toEqual(
          JSON.parse(JSON.stringify(value)),
        )
      }),
    )
  })

  it.each(['application/problem+json', 'Application/JSON; charset=utf-8', 'application/ld+json;x=y'])(
    'knows %s for JSON',
    (type) => {
      expect(rebuilt(type, { body: { a: 1 } })?.text).toBe('{"a":1}')
    },
  )

  it('tells a JSON text from a JSON string by the length that was announced', () => {
    const headers = (length: number) => ({ 'content-length': String(length) })
    expect(rebuilt('application/json', { body: '"a"', headers: headers(3) })?.text).toBe('"a"')
    expect(rebuilt('application/json', { body: '"a"', headers: headers(7) })?.text).toBe('"\\"a\\""')
    expect(rebuilt('application/json', { body: 'é', headers: headers(4) })?.text).toBe('"é"')
    // No length: only what is no JSON text can be told.
    expect(rebuilt('application/json', { body: 'plain' })?.text).toBe('"plain"')
    expect(rebuilt('application/json', { body: '{"a":1}' })).toBeUndefined()
    expect(rebuilt('application/json; charset=utf-16', { body: '{"a":1}', headers: headers(14) })).toBeUndefined()
  })

  it('says UTF-8 where it had another charset, for the text is written as that', () => {
    expect(rebuilt('text/plain; charset=iso-8859-1', { body: 'é' })).toEqual({
      text: 'é',
      contentType: 'text/plain; charset=utf-8',
      exact: false,
    })
    expect(rebuilt('text/plain; charset="UTF-16"; x=y', { body: 'é' })?.contentType).toBe(
      'text/plain; charset=utf-8; x=y',
    )
    expect(rebuilt('text/plain', { body: 'é' })?.contentType).toBe('text/plain')
  })

  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 })
  const key = fc.stringMatching(/^[a-z]{1,5}$/)

  it('writes a simple form so that the simple parser reads the same', () => {
    const form = fc.dictionary(
      word,
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.string({ unit: 'grapheme' }), { minLength: 2, maxLength: 5 }),
      ),
      { maxKeys: 6 },
    )
    fc.assert(
      fc.property(form, (values) => {
        const read = querystring.parse(querystring.stringify(values))
        expect(querystring.parse(rebuilt(FORM, { body: read })?.text ?? '')).toEqual(read)
      }),
    )
  })

  it('writes an extended form so that the extended parser reads the same', () => {
    const leaf = fc.string({ unit: 'grapheme', maxLength: 8 })
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.dictionary(key, tie('node'), { minKeys: 1, maxKeys: 3 }),
        fc.array(leaf, { minLength: 1, maxLength: 4 }),
      ),
    })).node
    fc.assert(
      fc.property(fc.dictionary(key, tree, { minKeys: 1, maxKeys: 4 }), (values) => {
        const text = rebuilt(FORM, { body: values })!.text
        const read = qs.parse(text)
        expect(read).toEqual(values)
        expect(text).not.toMatch(/[\r\n ]/)
        // And once more: what was read is written to be read the same.
        expect(qs.parse(rebuilt(FORM, { body: read })!.text)).toEqual(read)
      }),
    )
  })

  it('lets no name or value grow into another field', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, value) => {
        const text = rebuilt(FORM, { body: { [`a${name}`]: `b${value}` } })!.text
        expect([...new URLSearchParams(text)]).toHaveLength(1)
      }),
    )
  })

  it('refuses a form that is nested too deep', () => {
    let deep: unknown = 'x'
    for (let i = 0; i < 100; i++) deep = { a: deep }
    expect(() => rebuilt(FORM, { body: deep })).toThrow(RangeError)
  })

  it('takes the bytes that the app kept, before anything else', () => {
    expect(rebuilt('application/json', { rawBody: Buffer.from('{ }'), body: {} })).toEqual({
      text: '{ }',
      contentType: undefined,
      exact: true,
    })
    expect(rebuilt('application/json', { rawBody: 'not bytes', body: {} })?.text).toBe('{}')
  })

  it('sees whether the bytes that the app kept are still compressed', () => {
    const plain = Buffer.from('{ "a": 1 }')
    const gzipped = gzipSync(plain)
    const exact = (rawBody: Buffer, coding: string, length?: number) =>
      rebuilt('application/json', {
        rawBody,
        headers: { 'content-encoding': coding, ...(length === undefined ? {} : { 'content-length': String(length) }) },
      })?.exact
    expect(exact(gzipped, 'gzip', gzipped.length)).toBe(true)
    expect(exact(gzipped, 'X-GZIP')).toBe(true)
    expect(exact(plain, 'gzip', gzipped.length)).toBe(false)
    expect(exact(plain, 'gzip', plain.length)).toBe(false)
    expect(exact(plain, 'gzip')).toBe(false)
    expect(exact(plain, 'identity')).toBe(true)
    expect(exact(plain, 'br', 7)).toBe(false)
    expect(exact(plain, 'br', plain.length)).toBe(true)
    expect(exact(plain, 'br')).toBe(false)
  })

  it('takes bytes as they are', () => {
    expect(rebuilt('application/json', { body: Buffer.from('[ 1 ]') })).toEqual({
      text: '[ 1 ]',
      contentType: undefined,
      exact: false,
    })
  })

  it.each([
    ['was read in part', 'application/json', { body: {}, readableEnded: false }],
    ['left nothing', 'application/json', {}],
    ['is multipart', 'multipart/form-data; boundary=x', { body: { a: '1' } }],
    ['is an object of an unknown type', 'application/xml', { body: { a: '1' } }],
    ['is an object without a type', '', { body: { a: '1' } }],
  ])('cannot make a body again that %s', (_how, type, given) => {
    expect(rebuilt(type, given)).toBeUndefined()
  })
})
