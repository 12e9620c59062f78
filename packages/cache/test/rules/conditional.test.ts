import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluate, notModifiedFields, rangeStillValid } from '../../src/rules/conditional.ts'
import { dateAt, NOW, requestOf, SECOND, storedWith } from './rule-samples.ts'

const MODIFIED = -3000
const dated = storedWith('max-age=60', { etag: undefined, lastModifiedMs: NOW + MODIFIED * SECOND })

describe('If-None-Match', () => {
  it.each([
    ['the tag', '"abc"', '"abc"'],
    ['any', '"abc"', '*'],
    ['the tag first in a list', '"abc"', '"abc", "1", "2"'],
    ['the tag within a list', '"abc"', '"1", "abc", "2"'],
    ['the tag at the end of a list', '"abc"', '"1","2","abc"'],
    ['the weak tag', 'W/"abc"', 'W/"abc"'],
    ['the strong tag for a weak one', 'W/"abc"', '"abc"'],
    ['the weak tag for a strong one', '"abc"', '"1", W/"abc"'],
    ['a tag with a comma', '"a,b"', '"x", "a,b"'],
    ['a tag with bytes beyond ASCII', '"abcdef\u00fc"', '"abcdef\u00fc"'],
    ['the empty tag', '""', '"", "x"'],
    ['empty members', '"abc"', ', ,"abc",'],
  ])('%s: the client’s copy is good', (_, etag, ifNoneMatch) => {
    expect(evaluate(requestOf({ ifNoneMatch }), storedWith('max-age=60', { etag }))).toBe('not-modified')
  })

  it.each([
    ['another tag', '"abc"', '"abcd"'],
    ['the beginning of the tag', '"abc"', '"ab"'],
    ['other capitals', '"abc"', '"ABC"'],
    ['a response without a tag', undefined, '"abc"'],
    ['no tag at all', '"abc"', ''],
    ['only commas', '"abc"', ', ,'],
    ['no quotes', '"abc"', 'abc'],
    ['no quotes on either side', 'abc', 'abc'],
    ['no quotes in the stored tag', 'abc', '"abc"'],
    ['a small w', 'W/"abc"', 'w/"abc"'],
    ['a small w on both sides', 'w/"abc"', 'w/"abc"'],
    ['a space behind W/', 'W/"abc"', 'W/ "abc"'],
    ['no slash', 'W"abc"', 'W"abc"'],
    ['a space within a tag', '"a c"', '"a c"'],
    ['half of a tag with a comma', '"a,b"', '"a'],
    ['an open quote behind the tag', '"abc"', '"abc", "d'],
    ['no comma', '"abc"', '"abc" "d"'],
    ['text behind the tag', '"abc"', '"abc"d'],
    ['any in a list', '"abc"', '*, "d"'],
  ])('%s: the response is sent', (_, etag, ifNoneMatch) => {
    expect(evaluate(requestOf({ ifNoneMatch }), storedWith('max-age=60', { etag }))).toBe('send')
  })

  it('decides alone, whatever If-Modified-Since says', () => {
    const stored = storedWith('max-age=60', { lastModifiedMs: NOW + MODIFIED * SECOND })
    expect(evaluate(requestOf({ ifNoneMatch: '"v1"', ifModifiedSince: dateAt(-9000) }), stored)).toBe('not-modified')
    expect(evaluate(requestOf({ ifNoneMatch: '"v2"', ifModifiedSince: dateAt(0) }), stored)).toBe('send')
    expect(evaluate(requestOf({ ifNoneMatch: 'broken', ifModifiedSince: dateAt(0) }), stored)).toBe('send')
  })

  it('agrees with a plain reading of the list', () => {
    const opaque = fc.string({ unit: fc.constantFrom('a', 'b', ',', '/', 'W', '*', '\u00ff'), maxLength: 3 })
    const tag = fc.tuple(fc.constantFrom('', 'W/'), opaque).map(([weak, text]) => `${weak}"${text}"`)
    fc.assert(
      fc.property(
        tag,
        fc.array(tag, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(',', ', ', ' ,\t,'),
        (etag, tags, comma) => {
          const strip = (text: string) => text.replace(/^W\//, '')
          const expected = tags.some((other) => strip(other) === strip(etag)) ? 'not-modified' : 'send'
          expect(evaluate(requestOf({ ifNoneMatch: tags.join(comma) }), storedWith('max-age=60', { etag }))).toBe(
            expected,
          )
        },
      ),
    )
  })

  it('never takes odd text for a match of a tag that is not in it', () => {
    const text = fc.string({ unit: fc.constantFrom('"', 'W', '/', ',', ' ', 'a', '*', '\\') })
    fc.assert(
      fc.property(text, (ifNoneMatch) => {
        fc.pre(ifNoneMatch !== '*' && !ifNoneMatch.includes('"a"'))
        expect(evaluate(requestOf({ ifNoneMatch }), storedWith('max-age=60', { etag: '"a"' }))).toBe('send')
      }),
    )
  })
})

describe('If-Modified-Since', () => {
  it.each([
    ['the same date', dateAt(MODIFIED), 'not-modified'],
    ['a later date', dateAt(-2000), 'not-modified'],
    ['an earlier date', dateAt(MODIFIED - 1), 'send'],
    ['the same date in the form of RFC 850', 'Sunday, 06-Nov-22 07:59:37 GMT', 'not-modified'],
    ['the same date in the form of asctime', 'Sun Nov  6 07:59:37 2022', 'not-modified'],
    ['no date', 'yesterday', 'send'],
    ['two dates', `${dateAt(0)}, ${dateAt(0)}`, 'send'],
    ['nothing', '', 'send'],
  ])('%s', (_, ifModifiedSince, outcome) => {
    expect(evaluate(requestOf({ ifModifiedSince }), dated)).toBe(outcome)
  })

  it('goes by Date where the response has no Last-Modified', () => {
    const stored = storedWith('max-age=60', { etag: undefined, lastModifiedMs: undefined })
    expect(evaluate(requestOf({ ifModifiedSince: dateAt(0) }), stored)).toBe('not-modified')
    expect(evaluate(requestOf({ ifModifiedSince: dateAt(-1) }), stored)).toBe('send')
  })

  it('holds for a response with a tag too, when the client names none', () => {
    const stored = storedWith('max-age=60', { lastModifiedMs: NOW + MODIFIED * SECOND })
    expect(evaluate(requestOf({ ifModifiedSince: dateAt(MODIFIED) }), stored)).toBe('not-modified')
  })
})

describe('which requests and responses conditions are for', () => {
  it('no condition: the response is sent', () => {
    expect(evaluate(requestOf(), storedWith('max-age=60'))).toBe('send')
  })

  it.each([
    [200, 'not-modified'],
    [203, 'not-modified'],
    [206, 'not-modified'],
    [204, 'not-modified'],
    [301, 'send'],
    [404, 'send'],
    [410, 'send'],
    [500, 'send'],
  ])('a stored %i', (status, outcome) => {
    expect(evaluate(requestOf({ ifNoneMatch: '*' }), storedWith('max-age=60', { status }))).toBe(outcome)
    expect(evaluate(requestOf({ ifModifiedSince: dateAt(0) }), { ...dated, status })).toBe(outcome)
  })

  it('HEAD as GET, and no other method', () => {
    expect(evaluate(requestOf({ method: 'HEAD', ifNoneMatch: '"v1"' }), storedWith('max-age=60'))).toBe('not-modified')
    expect(evaluate(requestOf({ method: 'POST', ifNoneMatch: '"v1"' }), storedWith('max-age=60'))).toBe('send')
  })
})

describe('If-Range', () => {
  it.each([
    ['the strong tag', '"abc"', '"abc"', true],
    ['another tag', '"abc"', '"abd"', false],
    ['a weak tag, which cannot tell bytes apart', 'W/"abc"', 'W/"abc"', false],
    ['a weak tag for the strong one', '"abc"', 'W/"abc"', false],
    ['the strong tag for a weak one', 'W/"abc"', '"abc"', false],
    ['a tag without quotes', 'abc', 'abc', false],
    ['a tag and more', '"abc"', '"abc", "d"', false],
    ['a tag where there is none', undefined, '"abc"', false],
  ])('%s', (_, etag, ifRange, valid) => {
    expect(rangeStillValid(ifRange, storedWith('max-age=60', { etag }))).toBe(valid)
  })

  it.each([
    ['the same date', MODIFIED, true],
    ['an earlier date', MODIFIED - 1, false],
    ['a later date', MODIFIED + 1, false],
  ])('%s', (_, seconds, valid) => {
    expect(rangeStillValid(dateAt(seconds), dated)).toBe(valid)
  })

  it('takes no date that is too close to the response’s own to be strong', () => {
    const fresh = { ...dated, lastModifiedMs: NOW - SECOND }
    expect(rangeStillValid(dateAt(-1), fresh)).toBe(false)
  })

  it('takes no date where the response has none', () => {
    expect(rangeStillValid(dateAt(0), storedWith('max-age=60'))).toBe(false)
    expect(rangeStillValid('tomorrow', storedWith('max-age=60'))).toBe(false)
  })
})

describe('the fields of a 304', () => {
  const all = [
    ...['content-type', 'text/css', 'content-encoding', 'gzip', 'content-language', 'en', 'content-length', '5'],
    ...['content-range', 'bytes 0-4/5', 'content-md5', 'x', 'content-digest', 'x', 'repr-digest', 'x'],
    ...['cache-control', 'max-age=60', 'content-location', '/en', 'date', dateAt(0), 'etag', '"v1"'],
    ...['expires', dateAt(60), 'vary', 'Accept', 'vary', 'Origin', 'last-modified', dateAt(MODIFIED)],
    ...['cdn-cache-control', 'max-age=90', 'content-security-policy', "default-src 'self'"],
    ...['access-control-allow-origin', '*', 'x-own', '1'],
  ]

  it('has what it must have, and what is not about content', () => {
    expect(notModifiedFields(all)).toEqual([
      ...['cache-control', 'max-age=60', 'content-location', '/en', 'date', dateAt(0), 'etag', '"v1"'],
      ...['expires', dateAt(60), 'vary', 'Accept', 'vary', 'Origin'],
      ...['cdn-cache-control', 'max-age=90', 'content-security-policy', "default-src 'self'"],
      ...['access-control-allow-origin', '*', 'x-own', '1'],
    ])
  })

  it.each([
    ['no tag', []],
    ['a weak tag only', ['etag', 'W/"1"']],
    ['a broken tag', ['etag', 'v1']],
  ])('has Last-Modified where there is %s, to update other caches by', (_, tag) => {
    const headers = [...tag, 'last-modified', dateAt(MODIFIED)]
    expect(notModifiedFields(headers)).toEqual(headers)
  })
})
