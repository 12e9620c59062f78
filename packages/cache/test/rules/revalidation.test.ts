import { describe, expect, it } from 'vitest'
import type { CacheRequest } from '../../src/cache-request.ts'
import { fieldLines, fieldValue } from '../../src/rules/field-list.ts'
import {
  conditionalFieldsFor,
  headUpdate,
  reusedAfter304,
  selectedFor304,
  updatedHead,
} from '../../src/rules/revalidation.ts'
import type { StoredHead } from '../../src/stored-response.ts'
import { dateAt, HOUR, headOf, NOW, RULES, requestOf, SECOND, storedWith } from './rule-samples.ts'

const MODIFIED = NOW - HOUR
const PARTIAL = { status: 206, parts: [{ first: 0, last: 4 }], completeBytes: 10, bodyBytes: 5 }

describe('what the origin is asked with', () => {
  const conditions = (facts: Partial<StoredHead>) => {
    const selected = storedWith('max-age=1', facts)
    return conditionalFieldsFor([selected], selected)
  }

  it.each<[string, Partial<StoredHead>, string | undefined, string | undefined]>([
    ['a strong tag', { etag: '"a"' }, '"a"', undefined],
    ['a weak tag', { etag: 'W/"a"' }, 'W/"a"', undefined],
    ['a date', { etag: undefined, lastModifiedMs: MODIFIED }, undefined, dateAt(-3600)],
    ['a tag and a date', { etag: '"a"', lastModifiedMs: MODIFIED }, '"a"', dateAt(-3600)],
    ['a broken tag, which is not sent', { etag: 'a', lastModifiedMs: MODIFIED }, undefined, dateAt(-3600)],
    ['neither', { etag: undefined }, undefined, undefined],
    ['a part with a strong tag', { ...PARTIAL, etag: '"a"', lastModifiedMs: MODIFIED }, '"a"', undefined],
    ['a part with a weak tag', { ...PARTIAL, etag: 'W/"a"', lastModifiedMs: MODIFIED }, undefined, undefined],
    ['a part with a date', { ...PARTIAL, etag: undefined, lastModifiedMs: MODIFIED }, undefined, undefined],
  ])('%s', (_, facts, ifNoneMatch, ifModifiedSince) => {
    expect(conditions(facts)).toEqual({ ifNoneMatch, ifModifiedSince })
  })

  it('the selected response alone, when there is one', () => {
    const selected = storedWith('max-age=1', { etag: '"a"' })
    expect(conditionalFieldsFor([storedWith('max-age=1', { etag: '"b"' }), selected], selected).ifNoneMatch).toBe('"a"')
  })

  it('the strong tags of other variants, when none was selected', () => {
    const stored = [
      storedWith('max-age=1', { etag: '"a"', lastModifiedMs: MODIFIED }),
      storedWith('max-age=1', { etag: '"b"' }),
      storedWith('max-age=1', { etag: '"a"' }),
      storedWith('max-age=1', { etag: 'W/"weak"' }),
      storedWith('max-age=1', { etag: 'broken' }),
      storedWith('max-age=1', { etag: undefined }),
      storedWith('max-age=1', { etag: '"head"', method: 'HEAD' }),
      storedWith('max-age=1', { ...PARTIAL, etag: '"part"' }),
      storedWith('max-age=1', { etag: `"${'x'.repeat(200)}"` }),
    ]
    expect(conditionalFieldsFor(stored, undefined)).toEqual({ ifNoneMatch: '"a", "b"', ifModifiedSince: undefined })
  })

  it('no more than eight of them, the latest stored first', () => {
    const stored = Array.from({ length: 20 }, (_, i) => storedWith('max-age=1', { etag: `"${i}"` }))
    expect(conditionalFieldsFor(stored, undefined).ifNoneMatch).toBe('"0", "1", "2", "3", "4", "5", "6", "7"')
  })

  it('nothing, when nothing is stored', () => {
    expect(conditionalFieldsFor([], undefined)).toEqual({ ifNoneMatch: undefined, ifModifiedSince: undefined })
  })
})

describe('which stored responses a 304 brings up to date', () => {
  const entry = (id: string, facts: Partial<StoredHead>) => storedWith('max-age=1', { id, ...facts })
  const idsOf = (stored: readonly StoredHead[], headers304: readonly string[], request: CacheRequest = requestOf()) =>
    selectedFor304(stored, request, headers304).map(({ id }) => id)

  it('all with the strong tag that it has, the most recent first', () => {
    const stored = [
      entry('old', { etag: '"a"', dateMs: NOW - SECOND }),
      entry('other', { etag: '"b"' }),
      entry('new', { etag: '"a"' }),
      entry('weak', { etag: 'W/"a"' }),
      entry('none', { etag: undefined }),
    ]
    expect(idsOf(stored, ['etag', '"a"'])).toEqual(['new', 'old'])
  })

  it('none, when no stored response has its strong tag', () => {
    expect(idsOf([entry('b', { etag: '"b"' })], ['etag', '"a"'])).toEqual([])
    expect(idsOf([entry('weak', { etag: 'W/"a"' })], ['etag', '"a"'])).toEqual([])
    expect(idsOf([entry('none', { etag: undefined })], ['etag', '"a"'])).toEqual([])
  })

  it('all with the same strong date', () => {
    const stored = [
      entry('same', { etag: undefined, lastModifiedMs: MODIFIED }),
      entry('tagged', { etag: '"a"', lastModifiedMs: MODIFIED }),
      entry('other', { etag: undefined, lastModifiedMs: MODIFIED - SECOND }),
    ]
    expect(idsOf(stored, ['last-modified', dateAt(-3600)])).toEqual(['same', 'tagged'])
  })

  it('none with another tag, even of the same date', () => {
    const stored = [entry('b', { etag: '"b"', lastModifiedMs: MODIFIED })]
    expect(idsOf(stored, ['etag', '"a"', 'last-modified', dateAt(-3600)])).toEqual([])
    expect(idsOf(stored, ['etag', 'W/"a"', 'last-modified', dateAt(-3600)])).toEqual([])
  })

  it('the most recent one that matches a weak tag', () => {
    const stored = [
      entry('old', { etag: 'W/"a"', dateMs: NOW - SECOND }),
      entry('new', { etag: 'W/"a"' }),
      entry('newest', { etag: 'W/"b"', dateMs: NOW + SECOND }),
    ]
    expect(idsOf(stored, ['etag', 'W/"a"'])).toEqual(['new'])
    expect(idsOf([entry('strong', { etag: '"a"' })], ['etag', 'W/"a"'])).toEqual(['strong'])
  })

  it('the most recent one of a date too close to its own to be strong', () => {
    const close = { etag: undefined, lastModifiedMs: NOW - SECOND }
    const stored = [entry('old', { ...close, dateMs: NOW - 1 }), entry('new', close)]
    expect(idsOf(stored, ['last-modified', dateAt(-1)])).toEqual(['new'])
  })

  it('a file as file servers have it: a weak tag and a date', () => {
    const headers304 = ['etag', 'W/"a"', 'last-modified', dateAt(-3600), 'date', dateAt(0)]
    expect(idsOf([entry('file', { etag: 'W/"a"', lastModifiedMs: MODIFIED })], headers304)).toEqual(['file'])
    expect(
      idsOf(
        [entry('just now', { etag: 'W/"a"', lastModifiedMs: NOW - SECOND })],
        ['etag', 'W/"a"', 'last-modified', dateAt(-1)],
      ),
    ).toEqual(['just now'])
  })

  it('without validators only the only one, and only if it has none either', () => {
    const bare = entry('bare', { etag: undefined })
    expect(idsOf([bare], [])).toEqual(['bare'])
    expect(idsOf([entry('tagged', {})], [])).toEqual([])
    expect(idsOf([entry('dated', { etag: undefined, lastModifiedMs: MODIFIED })], [])).toEqual([])
    expect(idsOf([bare, entry('other', { etag: undefined })], [])).toEqual([])
  })

  it('none that could not be chosen for the request', () => {
    const same = { etag: '"a"' }
    const stored = [
      entry('foreign', { ...same, partition: 'ann' }),
      entry('varied', { ...same, vary: ['foo'], varyValues: ['1'] }),
      entry('head', { ...same, method: 'HEAD' }),
      entry('part', { ...same, ...PARTIAL }),
    ]
    expect(idsOf(stored, ['etag', '"a"'])).toEqual([])
    expect(idsOf(stored, ['etag', '"a"'], requestOf({ range: 'bytes=0-1' }))).toEqual(['part'])
  })
})

describe('what may be served after a 304 that updates nothing', () => {
  const selected = storedWith('max-age=1', { id: 'selected', etag: '"a"' })

  it('the selected response, when the 304 names nothing at all', () => {
    expect(reusedAfter304([selected], selected, requestOf(), ['date', dateAt(0)])).toBe(selected)
  })

  it('nothing, when it names something else', () => {
    expect(reusedAfter304([selected], selected, requestOf(), ['etag', '"b"'])).toBeUndefined()
    expect(reusedAfter304([selected], selected, requestOf(), ['last-modified', dateAt(-1)])).toBeUndefined()
  })

  it('another variant whose strong tag was offered', () => {
    const varied = { ...selected, vary: ['foo'], varyValues: ['1'] }
    const stored = [
      { ...varied, partition: 'ann', dateMs: NOW + SECOND },
      { ...varied, method: 'HEAD' as const, dateMs: NOW + SECOND },
      { ...varied, id: 'old', dateMs: NOW - SECOND },
      varied,
    ]
    const request = requestOf({ fields: { foo: '2' } })
    expect(reusedAfter304(stored, undefined, request, ['etag', '"a"'])).toBe(varied)
    expect(reusedAfter304(stored, undefined, request, ['etag', 'W/"a"'])).toBeUndefined()
    expect(reusedAfter304(stored, undefined, request, ['etag', '"b"'])).toBeUndefined()
    expect(reusedAfter304(stored, undefined, request, [])).toBeUndefined()
  })
})

describe('a stored response brought up to date', () => {
  const LATER = NOW + HOUR
  const BASE = [
    'cache-control',
    'max-age=1',
    'date',
    dateAt(0),
    'etag',
    '"v1"',
    'x-own',
    'a',
    'content-type',
    'text/plain',
  ]

  function updated(
    headers304: readonly string[],
    base: readonly string[] = BASE,
    facts: Partial<StoredHead> = {},
    request = requestOf(),
  ) {
    const stored = { ...headOf(base), bodyBytes: 3, completeBytes: 3, ...facts }
    const newer = { headers: headers304, requestedAtMs: LATER, receivedAtMs: LATER }
    return { stored, head: updatedHead(stored, request, newer, RULES) }
  }
  const lineOf = (name: string, headers304: readonly string[], base = BASE) =>
    fieldValue(updated(headers304, base).head!.headers, name)
  const DATE = ['date', dateAt(3600)]

  it.each([
    ['x-own', 'b'],
    ['content-foo', 'b'],
    ['content-type', 'text/plain;charset=utf-8'],
    ['content-md5', 'N7UdGUp1E+RbVvZSTy1R8g=='],
    ['content-location', '/bar'],
    ['content-security-policy', "default-src 'self' cdn.example.com"],
    ['x-frame-options', 'sameorigin'],
    ['clear-site-data', 'cookies'],
    ['expires', dateAt(9000)],
    ['cache-control', 'max-age=3600'],
    ['etag', '"v1"'],
  ])('takes %s from the 304', (name, value) => {
    expect(lineOf(name, [...DATE, name, value])).toBe(value)
    expect(lineOf(name, [...DATE, name, value], [...BASE, name, 'old'])).toBe(value)
  })

  it('keeps what the 304 does not repeat', () => {
    expect(lineOf('x-own', DATE)).toBe('a')
    expect(lineOf('content-type', DATE)).toBe('text/plain')
  })

  it('has all lines of a field from the 304 and none of its own', () => {
    const { head } = updated([...DATE, 'link', '<2>', 'link', '<3>'], [...BASE, 'link', '<0>', 'link', '<1>'])
    expect(fieldLines(head!.headers, 'link')).toEqual(['<2>', '<3>'])
  })

  it.each([
    ['content-encoding', 'gzip'],
    ['content-length', '99'],
    ['content-range', 'bytes 0-1/2'],
    ['set-cookie', 'a=b'],
    ['connection', 'close'],
    ['transfer-encoding', 'chunked'],
  ])('does not take %s, which is about other bytes, another client or the connection', (name, value) => {
    const { head } = updated([...DATE, name, value])
    expect(fieldValue(head!.headers, name)).toBeUndefined()
    expect(head).toMatchObject({ bodyBytes: 3, completeBytes: 3 })
  })

  it('keeps its content coding', () => {
    expect(lineOf('content-encoding', [...DATE, 'content-encoding', 'br'], [...BASE, 'content-encoding', 'gzip'])).toBe(
      'gzip',
    )
  })

  it('does not take what the 304 names in Connection, nor loses it', () => {
    expect(lineOf('x-own', [...DATE, 'connection', 'close, X-Own', 'x-own', 'b'])).toBe('a')
  })

  it('is as young as the 304, with the lifetime that it gives', () => {
    const { head } = updated([...DATE, 'cache-control', 'max-age=7200'], [...BASE, 'age', '500'])
    expect(head).toMatchObject({ initialAgeMs: 0, receivedAtMs: LATER, dateMs: LATER, lifetimeMs: 2 * HOUR })
  })

  it('is as old as the 304 says', () => {
    expect(updated([...DATE, 'age', '30']).head!.initialAgeMs).toBe(30 * SECOND)
  })

  it('gets a Date when the 304 has none', () => {
    const { head } = updated([])
    expect(fieldLines(head!.headers, 'date')).toEqual([dateAt(3600)])
    expect(head).toMatchObject({ dateMs: LATER, initialAgeMs: 0 })
  })

  it('is no longer stale by hand', () => {
    expect(updated(DATE, BASE, { staleSinceMs: NOW }).head!.staleSinceMs).toBeUndefined()
  })

  it('stays the same stored response, unless it gets an id of its own', () => {
    const { stored, head } = updated(DATE)
    expect(head!.id).toBe(stored.id)
    const newer = { headers: DATE, requestedAtMs: LATER, receivedAtMs: LATER }
    expect(updatedHead(stored, requestOf(), newer, RULES, 'other')!.id).toBe('other')
  })

  it('reads anew what it depends on', () => {
    const { head } = updated([...DATE, 'vary', 'Foo'], BASE, {}, requestOf({ fields: { foo: '1' } }))
    expect(head).toMatchObject({ vary: ['foo'], varyValues: ['1'] })
    expect(head!.variant).not.toBe('')
  })

  it('has the tags of its fields as they are now, and keeps those from elsewhere', () => {
    const base = [...BASE, 'cache-tag', 'a,b']
    expect(updated([...DATE, 'cache-tag', 'c'], base, { tags: ['a', 'b', 'uri:/x'] }).head!.tags).toEqual([
      'c',
      'uri:/x',
    ])
    expect(updated(DATE, base, { tags: ['a', 'b'] }).head!.tags).toEqual(['a', 'b'])
  })

  it.each([
    ['private', ['cache-control', 'private']],
    ['not to be stored', ['cache-control', 'no-store']],
    ['dependent on everything', ['vary', '*']],
  ])('has to go when it is now %s', (_, fields) => {
    expect(updated([...DATE, ...fields]).head).toBeUndefined()
  })

  it.each<[string, Parameters<typeof requestOf>[0]]>([
    ['says no-store', { cacheControl: 'no-store' }],
    ['is authorized, and the response is not for all', { authorized: true }],
  ])('stays as it was when the client %s', (_, facts) => {
    const { stored, head } = updated([...DATE, 'x-own', 'personal'], BASE, {}, requestOf(facts))
    expect(head).toBe(stored)
  })

  it('stays as it was when the request selects another variant', () => {
    const { stored, head } = updated([...DATE, 'x-own', 'b'], BASE, { vary: ['foo'], varyValues: ['1'] })
    expect(head).toBe(stored)
  })

  it('stays what it was: a part, a response to POST, a response to GET updated by HEAD', () => {
    const part = updated(DATE, BASE, PARTIAL).head!
    expect(part).toMatchObject(PARTIAL)
    expect(fieldValue(part.headers, 'content-range')).toBeUndefined()
    const post = updated(DATE, [...BASE, 'content-location', '/products'], { method: 'POST' }).head!
    expect(post.method).toBe('POST')
    const get = updated(DATE, BASE, {}, requestOf({ method: 'HEAD' })).head!
    expect(get).toMatchObject({ method: 'GET', variant: '', bodyBytes: 3 })
  })
})

describe('what a response to HEAD says of a stored response to GET', () => {
  const stored = storedWith('max-age=1', { etag: '"a"', lastModifiedMs: MODIFIED, bodyBytes: 3, completeBytes: 3 })

  it.each([
    ['nothing to compare', [], 'update'],
    ['the same tag', ['etag', '"a"'], 'update'],
    ['another tag', ['etag', '"b"'], 'invalidate'],
    ['the tag, but weak', ['etag', 'W/"a"'], 'invalidate'],
    ['the same date', ['last-modified', dateAt(-3600)], 'update'],
    ['another date', ['last-modified', dateAt(-3599)], 'invalidate'],
    ['no date', ['last-modified', 'then'], 'invalidate'],
    ['the same length', ['content-length', '3'], 'update'],
    ['another length', ['content-length', '4'], 'invalidate'],
    ['the same tag and another length', ['etag', '"a"', 'content-length', '4'], 'invalidate'],
    ['all the same', ['etag', '"a"', 'last-modified', dateAt(-3600), 'content-length', '3'], 'update'],
  ])('%s', (_, headers, outcome) => {
    expect(headUpdate(stored, 200, headers)).toBe(outcome)
  })

  it('a tag where the stored response has none', () => {
    expect(headUpdate({ ...stored, etag: undefined }, 200, ['etag', '"a"'])).toBe('invalidate')
  })

  it('the length of the whole, for a part', () => {
    const part = { ...stored, ...PARTIAL }
    expect(headUpdate(part, 200, ['content-length', '10'])).toBe('update')
    expect(headUpdate(part, 200, ['content-length', '5'])).toBe('invalidate')
    expect(headUpdate({ ...part, completeBytes: undefined }, 200, ['content-length', '10'])).toBe('invalidate')
  })

  it('nothing, with another status than 200', () => {
    for (const status of [204, 301, 304, 404, 410, 500])
      expect(headUpdate(stored, status, ['etag', '"b"'])).toBe('ignore')
  })

  it('nothing of another response to HEAD', () => {
    expect(headUpdate({ ...stored, method: 'HEAD' }, 200, ['etag', '"b"'])).toBe('ignore')
  })
})
