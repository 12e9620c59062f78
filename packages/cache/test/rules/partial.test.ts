import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fieldValue } from '../../src/rules/field-list.ts'
import { combine, completionFields } from '../../src/rules/partial.ts'
import type { BytePart, StoredHead, StoredResponse } from '../../src/stored-response.ts'
import { HOUR, NOW, SECOND, storedWith } from './rule-samples.ts'

const WHOLE = Buffer.from('abcdefghijklmnopqrstuvwxyz')

/** A stored 206 with some parts of the alphabet. */
function partOf(parts: readonly BytePart[], facts: Partial<StoredHead> = {}, whole = WHOLE): StoredResponse {
  const body = parts.map(({ first, last }) => whole.subarray(first, last + 1))
  return {
    ...storedWith('max-age=60', { status: 206, parts, completeBytes: whole.length }),
    bodyBytes: body.reduce((bytes, piece) => bytes + piece.length, 0),
    ...facts,
    body,
  }
}

function completeOf(facts: Partial<StoredHead> = {}, whole = WHOLE): StoredResponse {
  return {
    ...storedWith('max-age=60', { bodyBytes: whole.length, completeBytes: whole.length, ...facts }),
    body: [whole],
  }
}

const first = (last: number, facts: Partial<StoredHead> = {}) => partOf([{ first: 0, last }], { id: 'old', ...facts })
const rest = (from: number, facts: Partial<StoredHead> = {}) =>
  partOf([{ first: from, last: 25 }], { id: 'new', ...facts })
const textOf = (response: StoredResponse | undefined) => response && Buffer.concat(response.body!).toString()

describe('parts put together', () => {
  it('are a complete response when nothing is missing', () => {
    const combined = combine(first(9), rest(10))
    expect(textOf(combined)).toBe(WHOLE.toString())
    expect(combined).toMatchObject({
      id: 'new',
      status: 200,
      statusText: 'OK',
      bodyBytes: 26,
      completeBytes: 26,
      variant: '',
    })
    expect(combined!.parts).toBeUndefined()
  })

  it('are one larger part when they touch or overlap', () => {
    for (const from of [5, 8, 10]) {
      const combined = combine(first(9), partOf([{ first: from, last: 14 }]))
      expect(combined).toMatchObject({ status: 206, parts: [{ first: 0, last: 14 }], bodyBytes: 15 })
      expect(textOf(combined)).toBe('abcdefghijklmno')
    }
  })

  it('are two parts with a gap', () => {
    const combined = combine(rest(20), first(4))
    expect(combined).toMatchObject({
      parts: [
        { first: 0, last: 4 },
        { first: 20, last: 25 },
      ],
      bodyBytes: 11,
      completeBytes: 26,
    })
    expect(textOf(combined)).toBe('abcdeuvwxyz')
    expect(combined!.variant).not.toBe('')
  })

  it('learn the length of the whole from either', () => {
    const open = { completeBytes: undefined }
    expect(combine(first(9, open), rest(10))).toMatchObject({ status: 200, completeBytes: 26 })
    expect(combine(first(9), rest(10, open))).toMatchObject({ status: 200, completeBytes: 26 })
    expect(combine(first(9, open), rest(10, open))).toMatchObject({ status: 206, completeBytes: undefined })
  })

  it('have the fields of the newer one, and those of the older that it does not repeat', () => {
    const combined = combine(
      first(9, { headers: ['etag', '"v1"', 'x-own', 'a', 'content-type', 'text/plain'], tags: ['a'] }),
      rest(10, { headers: ['etag', '"v1"', 'x-own', 'b', 'date', 'x'], tags: ['b'] }),
    )
    expect(combined!.headers).toEqual(['content-type', 'text/plain', 'etag', '"v1"', 'x-own', 'b', 'date', 'x'])
    expect(combined!.tags).toEqual(['a', 'b'])
  })

  it('are as old as the newer one', () => {
    const old = first(9, { receivedAtMs: NOW - HOUR, dateMs: NOW - HOUR, initialAgeMs: 5 })
    expect(combine(old, rest(10))).toMatchObject({
      receivedAtMs: NOW,
      dateMs: NOW,
      initialAgeMs: 0,
      lifetimeMs: 60 * SECOND,
    })
  })

  it('live no longer than either allows, where the newer one does not say', () => {
    const old = first(9, { headers: ['cache-control', 'max-age=60, must-revalidate'], mustRevalidate: true })
    const silent = rest(10, { headers: ['etag', '"v1"'], lifetimeMs: HOUR, heuristic: true, staleIfErrorMs: HOUR })
    expect(combine(old, silent)).toMatchObject({ lifetimeMs: 60 * SECOND, mustRevalidate: true, staleIfErrorMs: 0 })
    const outspoken = { ...silent, headers: ['cache-control', 'max-age=3600'] }
    expect(combine(old, outspoken)).toMatchObject({ lifetimeMs: HOUR, mustRevalidate: false, staleIfErrorMs: HOUR })
  })

  it('of a complete response and a newer part of it: it stays complete, with the newer fields', () => {
    const combined = combine(completeOf(), rest(20, { headers: ['etag', '"v1"', 'a', '2'] }))
    expect(textOf(combined)).toBe(WHOLE.toString())
    expect(combined!.status).toBe(200)
    expect(fieldValue(combined!.headers, 'a')).toBe('2')
  })

  it('of a part and a newer complete response: that response', () => {
    const complete = completeOf({ id: 'new' })
    expect(combine(first(9), complete)).toBe(complete)
  })
})

describe('what is not put together', () => {
  const dated = { etag: undefined, lastModifiedMs: NOW - HOUR }
  it.each<[string, Partial<StoredHead>, Partial<StoredHead>]>([
    ['other tags', { etag: '"v1"' }, { etag: '"v2"' }],
    ['weak tags', { etag: 'W/"v1"' }, { etag: 'W/"v1"' }],
    ['broken tags', { etag: 'v1' }, { etag: 'v1' }],
    ['a tag and none', { etag: '"v1"' }, { etag: undefined }],
    ['no validators', { etag: undefined }, { etag: undefined }],
    ['other dates', dated, { ...dated, lastModifiedMs: NOW - HOUR - SECOND }],
    ['dates that are not strong', { ...dated, lastModifiedMs: NOW }, { ...dated, lastModifiedMs: NOW }],
    ['other lengths of the whole', { completeBytes: 27 }, {}],
    ['a part beyond the end of the other', {}, { completeBytes: undefined, parts: [{ first: 10, last: 30 }] }],
    ['other partitions', { partition: 'ann' }, {}],
    ['other variants', { vary: ['foo'], varyValues: ['1'] }, { vary: ['foo'], varyValues: ['2'] }],
    ['other fields to vary on', { vary: ['foo'], varyValues: ['1'] }, {}],
    ['other content codings', { headers: ['content-encoding', 'gzip'] }, {}],
    ['another status', { status: 404 }, {}],
    ['a response to POST', { method: 'POST' }, {}],
  ])('%s', (_, old, incoming) => {
    expect(combine(first(9, old), rest(10, incoming))).toBeUndefined()
  })

  it('the same strong dates are enough', () => {
    expect(textOf(combine(first(9, dated), rest(10, dated)))).toBe(WHOLE.toString())
  })

  it('content that is not at hand', () => {
    expect(combine({ ...first(9), body: undefined }, rest(10))).toBeUndefined()
    expect(combine(first(9), { ...rest(10), body: undefined })).toBeUndefined()
  })

  it('more than 64 parts', () => {
    const whole = Buffer.alloc(1000)
    const every = (from: number, count: number) =>
      partOf(
        Array.from({ length: count }, (_, i) => ({ first: from + 4 * i, last: from + 4 * i })),
        {},
        whole,
      )
    expect(combine(every(0, 32), every(2, 32))!.parts).toHaveLength(64)
    expect(combine(every(0, 33), every(2, 32))).toBeUndefined()
  })
})

describe('the union of any parts', () => {
  const parts = fc.uniqueArray(fc.nat(25), { minLength: 1, maxLength: 26 }).map((places) => {
    const ascending: { first: number; last: number }[] = []
    for (const at of places.sort((a, b) => a - b)) {
      const before = ascending.at(-1)
      if (before !== undefined && before.last + 1 === at) before.last = at
      else ascending.push({ first: at, last: at })
    }
    return ascending
  })
  const has = (parts: readonly BytePart[], at: number) => parts.some(({ first, last }) => first <= at && at <= last)

  it('has every byte of either in its place, and no other', () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const combined = combine(partOf(one), partOf(other))!
        const places = [...WHOLE.keys()].filter((at) => has(one, at) || has(other, at))
        expect(textOf(combined)).toBe(places.map((at) => String.fromCharCode(WHOLE[at]!)).join(''))
        expect(combined.bodyBytes).toBe(places.length)
        expect(combined.parts === undefined).toBe(places.length === 26)
        const united = combined.parts ?? [{ first: 0, last: 25 }]
        expect([...WHOLE.keys()].filter((at) => has(united, at))).toEqual(places)
        for (let i = 1; i < united.length; i++) expect(united[i]!.first).toBeGreaterThan(united[i - 1]!.last + 1)
      }),
    )
  })

  it('takes a byte that both have from the newer one', () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const combined = combine(partOf(one), partOf(other, {}, Buffer.from(WHOLE.toString().toUpperCase())))!
        const places = [...WHOLE.keys()].filter((at) => has(one, at) || has(other, at))
        const expected = places.map((at) => String.fromCharCode(WHOLE[at]! - (has(other, at) ? 32 : 0)))
        expect(textOf(combined)).toBe(expected.join(''))
      }),
    )
  })
})

describe('completing a partial response', () => {
  it.each<[string, readonly BytePart[], string | undefined]>([
    ['the end is missing', [{ first: 0, last: 9 }], 'bytes=10-'],
    ['the beginning is missing', [{ first: 10, last: 25 }], 'bytes=0-9'],
    [
      'the middle is missing',
      [
        { first: 0, last: 4 },
        { first: 20, last: 25 },
      ],
      'bytes=5-19',
    ],
    [
      'two gaps',
      [
        { first: 0, last: 4 },
        { first: 6, last: 7 },
        { first: 20, last: 25 },
      ],
      'bytes=5-19',
    ],
    ['beginning and end are missing: nothing would be saved', [{ first: 5, last: 9 }], undefined],
    ['nothing is missing', [{ first: 0, last: 25 }], undefined],
  ])('%s', (_, parts, range) => {
    expect(completionFields(partOf(parts))).toEqual(range === undefined ? undefined : { range, ifRange: '"v1"' })
  })

  it('is not tried without a strong tag, without a known length, or for a complete response', () => {
    expect(completionFields(first(9, { etag: 'W/"v1"' }))).toBeUndefined()
    expect(completionFields(first(9, { etag: undefined }))).toBeUndefined()
    expect(completionFields(first(9, { completeBytes: undefined }))).toBeUndefined()
    expect(completionFields(completeOf())).toBeUndefined()
  })
})
