import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CacheRequest } from '../../src/cache-request.ts'
import { matchesVary, missReason, selectStored, varyNames, varyValuesOf } from '../../src/rules/vary.ts'
import type { StoredHead } from '../../src/stored-response.ts'
import { dateAt, headOf, NOW, requestOf, SECOND, storedWith } from './rule-samples.ts'

describe('reading Vary', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['no Vary', ['etag', '"1"'], []],
    ['one name', ['vary', 'Accept'], ['accept']],
    ['several names, sorted', ['vary', 'Origin, Accept'], ['accept', 'origin']],
    ['several lines', ['vary', 'Foo', 'etag', '"1"', 'vary', 'bar'], ['bar', 'foo']],
    ['a name twice', ['vary', 'Foo, FOO', 'vary', 'foo'], ['foo']],
    ['empty members', ['vary', ', foo ,,', 'vary', ''], ['foo']],
    ['an empty value', ['vary', ''], []],
    ['spaces and tabs', ['vary', '\tfoo\t ,  bar '], ['bar', 'foo']],
  ])('%s', (_, headers, names) => {
    expect(varyNames(headers)).toEqual(names)
  })

  it.each<[string, readonly string[]]>([
    ['a star', ['vary', '*']],
    ['two stars', ['vary', '*, *']],
    ['two stars on two lines', ['vary', '*', 'vary', '*']],
    ['a star behind an empty member', ['vary', ', *']],
    ['a star behind an empty line', ['vary', '', 'vary', '*']],
    ['a star before a name', ['vary', '*, Foo']],
    ['a star behind a name', ['vary', 'Foo, *']],
    ['a star on a later line', ['vary', 'Foo', 'vary', 'Bar', 'vary', '*']],
    ['two names without a comma', ['vary', 'Accept Origin']],
    ['a quoted name', ['vary', '"Accept"']],
    ['a name with a colon', ['vary', 'Accept: x']],
    ['a name with a space that is none', ['vary', 'accept\u00a0']],
    ['more names than anybody means', ['vary', Array.from({ length: 101 }, (_, i) => `f${i}`).join()]],
  ])('never lets a response be reused with %s', (_, headers) => {
    expect(varyNames(headers)).toBe('*')
  })
})

function askingFor(value: string | undefined, more: Record<string, string> = {}): CacheRequest {
  return requestOf({ fields: { ...(value === undefined ? {} : { foo: value }), ...more } })
}

/** The response to a request with these fields. */
function variant(vary: string, request: CacheRequest, facts: Partial<StoredHead> = {}): StoredHead {
  return { ...headOf(['cache-control', 'max-age=60', 'date', dateAt(0), 'vary', vary], 200, request), ...facts }
}

describe('whether a stored response was selected by the same fields', () => {
  it.each<[string, string | undefined, string | undefined, boolean]>([
    ['the same value', '1', '1', true],
    ['another value', '1', '2', false],
    ['an absent field and a value', undefined, '1', false],
    ['a value and an absent field', '1', undefined, false],
    ['absent both times', undefined, undefined, true],
    ['an empty value and an absent field', '', undefined, false],
    ['an absent field and an empty value', undefined, '', false],
    ['other spaces in a list', '1,2', ' 1, 2 ', true],
    ['other spaces, the other way round', ' 1 ,\t2', '1,2', true],
    ['another order in a list of unknown meaning', '1,2', '2,1', false],
    ['other capitals in a field of unknown meaning', 'a', 'A', false],
  ])('%s', (_, then, now, matches) => {
    expect(matchesVary(variant('Foo', askingFor(then)), askingFor(now))).toBe(matches)
  })

  it('asks for all of the fields', () => {
    const stored = variant('Foo, Bar', askingFor('1', { bar: 'abc' }))
    expect(matchesVary(stored, askingFor('1', { bar: 'abc' }))).toBe(true)
    expect(matchesVary(stored, askingFor('1', { bar: 'abcde' }))).toBe(false)
    expect(matchesVary(stored, askingFor('1'))).toBe(false)
    expect(matchesVary(stored, askingFor('1', { bar: 'abc', other: '9' }))).toBe(true)
  })

  it('knows that the order of languages means nothing', () => {
    const request = requestOf({ fields: { 'accept-language': 'en, de' } })
    expect(
      matchesVary(variant('Accept-Language', request), requestOf({ fields: { 'accept-language': 'de, EN' } })),
    ).toBe(true)
  })

  it('never matches a star, wherever it came from', () => {
    const stored = storedWith('max-age=60', { vary: ['*'], varyValues: [undefined] })
    expect(matchesVary(stored, requestOf())).toBe(false)
    expect(matchesVary(stored, requestOf({ fields: { '*': '1' } }))).toBe(false)
  })
})

describe('which stored response answers', () => {
  const complete = storedWith('max-age=60', { id: 'complete' })
  const head = storedWith('max-age=60', { id: 'head', method: 'HEAD' })
  const post = storedWith('max-age=60', { id: 'post', method: 'POST' })
  const partial = storedWith('max-age=60', {
    id: 'partial',
    status: 206,
    parts: [{ first: 0, last: 4 }],
    completeBytes: 10,
    bodyBytes: 5,
  })
  const later = (stored: StoredHead, seconds = 1) => ({ ...stored, dateMs: NOW + seconds * SECOND })
  const idOf = (stored: readonly StoredHead[], facts: Parameters<typeof requestOf>[0] = {}) =>
    selectStored(stored, requestOf(facts))?.id

  it('GET is answered from GET and POST, never from HEAD', () => {
    expect(idOf([complete])).toBe('complete')
    expect(idOf([post])).toBe('post')
    expect(idOf([later(head)])).toBeUndefined()
    expect(idOf([later(head), complete])).toBe('complete')
  })

  it('HEAD is answered from HEAD, GET and POST', () => {
    for (const stored of [complete, head, post]) expect(idOf([stored], { method: 'HEAD' })).toBe(stored.id)
  })

  it('other methods are not answered', () => {
    for (const method of ['POST', 'PUT', 'OPTIONS', 'get']) expect(idOf([complete, post], { method })).toBeUndefined()
  })

  it('of several the most recent by Date, wherever it stands', () => {
    expect(idOf([complete, later(post)])).toBe('post')
    expect(idOf([later(post), complete])).toBe('post')
    expect(idOf([later(complete), later(head, 2)], { method: 'HEAD' })).toBe('head')
  })

  it('of equally recent ones the one stored last', () => {
    expect(idOf([post, complete])).toBe('post')
  })

  it('nothing of another partition', () => {
    expect(idOf([{ ...complete, partition: 'ann' }])).toBeUndefined()
    expect(idOf([complete], { partition: 'ann' })).toBeUndefined()
    expect(
      idOf(
        [
          { ...complete, partition: 'bob' },
          { ...complete, partition: 'ann' },
        ],
        { partition: 'ann' },
      ),
    ).toBe('complete')
  })

  it.each<[string, Parameters<typeof requestOf>[0], string | undefined]>([
    ['a range that it has', { range: 'bytes=1-3' }, 'partial'],
    ['a range that it has not all of', { range: 'bytes=3-6' }, undefined],
    ['everything', {}, undefined],
    ['a unit that nobody knows', { range: 'lines=1-2' }, undefined],
    ['a range behind the end, to be refused', { range: 'bytes=10-' }, 'partial'],
    ['a range of the same representation', { range: 'bytes=1-3', ifRange: '"v1"' }, 'partial'],
    ['a range of another representation, or else everything', { range: 'bytes=1-3', ifRange: '"v2"' }, undefined],
    ['HEAD with a range, which means nothing', { range: 'bytes=1-3', method: 'HEAD' }, undefined],
  ])('from a partial response: %s', (_, facts, id) => {
    expect(idOf([partial], facts)).toBe(id)
  })

  it('a complete response before a partial one of the same second, a later partial one before a complete one', () => {
    expect(idOf([partial, complete], { range: 'bytes=1-3' })).toBe('complete')
    expect(idOf([complete, later(partial)], { range: 'bytes=1-3' })).toBe('partial')
    expect(idOf([complete, later(partial)])).toBe('complete')
  })

  it('never one whose partition, method or Vary does not fit', () => {
    const value = fc.constantFrom(undefined, 'a', 'b', 'a,b')
    const partition = fc.constantFrom('', 'ann', 'bob')
    const names = fc.constantFrom<readonly string[]>([], ['bar'], ['foo'], ['bar', 'foo'], ['*'])
    const method = fc.constantFrom<'GET' | 'HEAD' | 'POST'>('GET', 'HEAD', 'POST')
    const stored = fc
      .record({ partition, method, vary: names, foo: value, bar: value, dateMs: fc.nat(5) })
      .map(({ foo, bar, ...facts }) => {
        const varyValues = facts.vary.map((name) => (name === 'foo' ? foo : bar))
        return storedWith('max-age=60', { ...facts, varyValues })
      })
    fc.assert(
      fc.property(
        fc.array(stored, { maxLength: 8 }),
        fc.record({ partition, method: fc.constantFrom('GET', 'HEAD'), foo: value, bar: value }),
        (all, { partition, method, foo, bar }) => {
          const fields: Record<string, string> = {}
          if (foo !== undefined) fields.foo = foo
          if (bar !== undefined) fields.bar = bar
          const fitting = all.filter(
            (head) =>
              head.partition === partition &&
              (head.method !== 'HEAD' || method === 'HEAD') &&
              head.vary.every((name, i) => name !== '*' && head.varyValues[i] === fields[name]),
          )
          const chosen = selectStored(all, requestOf({ partition, method, fields }))
          if (chosen === undefined) expect(fitting).toEqual([])
          else {
            expect(fitting).toContain(chosen)
            const withVary = fitting.filter((head) => head.vary.length > 0)
            const preferred = withVary.length > 0 ? withVary : fitting
            expect(Math.max(...preferred.map((head) => head.dateMs))).toBe(chosen.dateMs)
          }
        },
      ),
    )
  })

  it('finds a response for the request that brought it, whatever its fields', () => {
    const value = fc.oneof(fc.string(), fc.constantFrom('gzip, br;q=0.5', 'de , en', '"a, b" ,c', 'gzip;q=x'))
    const fields = fc.dictionary(fc.constantFrom('accept', 'accept-encoding', 'accept-language', 'foo'), value)
    fc.assert(
      fc.property(fields, (fields) => {
        const request = requestOf({ fields })
        const vary = ['accept', 'accept-encoding', 'accept-language', 'foo']
        const stored = storedWith('max-age=60', { vary, varyValues: varyValuesOf(vary, request) })
        expect(selectStored([stored], request)).toBe(stored)
      }),
    )
  })
})

describe('why nothing was selected', () => {
  it('nothing is stored of the URI', () => {
    expect(missReason([], requestOf())).toBe('uri-miss')
  })

  it('what is stored was selected by other fields', () => {
    expect(missReason([variant('Foo', askingFor('1'))], askingFor('2'))).toBe('vary-miss')
  })

  it('what others have stored is not told', () => {
    const stored = variant('Foo', askingFor('1'), { partition: 'ann' })
    expect(missReason([stored], askingFor('2'))).toBe('uri-miss')
  })

  it('a response to HEAD is nothing for GET', () => {
    expect(missReason([variant('Foo', askingFor('1'), { method: 'HEAD' })], askingFor('2'))).toBe('uri-miss')
  })
})
