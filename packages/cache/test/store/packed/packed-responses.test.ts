import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headOf, type SampleResponse, sampleResponse } from '../../../src/store/conformance/sample-response.ts'
import { PackedResponses } from '../../../src/store/packed/packed-responses.ts'
import { textHash } from '../../../src/store/text-hash.ts'
import type { StoredResponse } from '../../../src/stored-response.ts'

const NOW_MS = 1_750_000_500_000
const MOST_VARIANTS = 3

const hashes = {
  'of its own': undefined,
  'that puts many keys together': (key: string) => textHash(key, 1) % 3,
  'of the highest number': () => 0xffff_ffff,
}

const key = fc.nat(30).map((number) => `key ${number}`)
const variant = fc.nat(4).map((number) => `variant ${number}`)
const tags = fc.array(fc.constantFrom('shoes', 'sale', '\u4e16'), { maxLength: 3 })
const headers = fc.array(fc.constantFrom('x-name', 'value', 'caf\u00e9 \u00ff', '\ud800 alone', 'x'.repeat(700)), {
  maxLength: 4,
})
const bytes = fc.oneof(fc.nat(80), fc.nat(900), fc.nat(6_000))
const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), key, variant, tags, headers, bytes }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('update' as const), key, variant, tags, headers }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('get', 'get', 'remove', 'purge', 'soften'), key, variant }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('purgeTag', 'softenTag'), tag: fc.constantFrom('shoes', 'sale') }),
  },
)
type Action = Exclude<typeof action extends fc.Arbitrary<infer T> ? T : never, undefined>

const contentOf = (response: StoredResponse) => Buffer.concat(response.body ?? [])

/** Content that no other response has, and that no other could be taken for. */
function contentFor(id: string, bytes: number): readonly Uint8Array[] {
  const content = Buffer.alloc(bytes, `${id};`)
  return bytes > 10 ? [content.subarray(0, 7), content.subarray(7)] : [content]
}

/** Packed responses beside a plain map of what must be in them, unless it was evicted. */
class Pair {
  readonly packed: PackedResponses
  readonly model = new Map<string, SampleResponse[]>()
  readonly #maxBytes: number
  #evictions = 0
  #puts = 0
  /** What the last update took the place of: it may have been evicted for it just before. */
  #replaced = 0

  constructor(maxBytes: number, hash?: (key: string) => number) {
    this.#maxBytes = maxBytes
    this.packed = new PackedResponses(maxBytes, MOST_VARIANTS, hash)
  }

  do(action: Action): void {
    if (action.kind === 'put') this.#put(action as Extract<Action, { bytes: number }>)
    else if (action.kind === 'update') this.#update(action as Extract<Action, { headers: string[] }>)
    else if ('tag' in action) this.#purgeTag(action.tag, action.kind === 'softenTag')
    else this.#doTo(action.key, action.variant, action.kind)
    this.#settle()
  }

  /** Takes what was evicted out of the map: as many as the store says, and no more. */
  #settle(): void {
    let gone = 0
    let left = 0
    for (const [key, responses] of this.model) {
      const there = responses.filter(({ id }) => this.packed.content(key, id) !== undefined)
      gone += responses.length - there.length
      left += there.length
      for (const response of there) {
        const content = Buffer.concat(this.packed.content(key, response.id)!)
        if (!content.equals(contentOf(response))) expect(content.toString()).toBe(contentOf(response).toString())
      }
      this.model.set(key, there)
    }
    const { evictions, responses, bytes } = this.packed.stats
    expect(evictions - this.#evictions).toBeGreaterThanOrEqual(gone)
    expect(evictions - this.#evictions).toBeLessThanOrEqual(gone + this.#replaced)
    expect(responses).toBe(left)
    expect(bytes).toBeLessThanOrEqual(this.#maxBytes)
    this.#evictions = evictions
    this.#replaced = 0
  }

  check(key: string): void {
    const found = this.packed.get(key) ?? []
    const wanted = this.model.get(key) ?? []
    expect(found.map(headOf)).toEqual(wanted.map(headOf))
    expect(found.map((response) => contentOf(response).toString('latin1'))).toEqual(
      wanted.map((response) => contentOf(response).toString('latin1')),
    )
  }

  #put({ key, variant, tags, headers, bytes }: Extract<Action, { bytes: number }>): void {
    const id = `${key} ${variant} ${this.#puts++}`
    const response = sampleResponse(id, { variant, tags, headers, body: contentFor(id, bytes) })
    if (!this.packed.put(key, response, response.body)) return
    const others = (this.model.get(key) ?? []).filter((other) => other.variant !== variant)
    // The oldest ones that are too many are evicted, which is checked later.
    this.model.set(key, [response, ...others])
  }

  #update({ key, variant, tags, headers }: Extract<Action, { headers: string[] }>): void {
    const responses = this.model.get(key) ?? []
    const old = responses.at(-1)
    const head = headOf(sampleResponse(old?.id ?? 'unknown', { variant, tags, headers, lifetimeMs: this.#puts++ }))
    const updated = this.packed.update(key, head)
    if (old === undefined) expect(updated).toBe(false)
    if (old === undefined || !updated) return
    const next = responses.filter((other) => other === old || other.variant !== variant)
    this.#replaced = responses.length - next.length
    next[next.indexOf(old)] = { ...old, ...head, bodyBytes: old.bodyBytes }
    this.model.set(key, next)
  }

  #doTo(key: string, variant: string, kind: string): void {
    if (kind === 'get') this.check(key)
    const responses = this.model.get(key) ?? []
    if (kind === 'remove') {
      const response = responses.find((each) => each.variant === variant)
      expect(this.packed.remove(key, response?.id ?? 'unknown')).toBe(response !== undefined)
      this.model.set(
        key,
        responses.filter((each) => each !== response),
      )
    } else if (kind === 'purge') {
      expect(this.packed.purge(key, 'delete', NOW_MS)).toBe(responses.length)
      this.model.set(key, [])
    } else if (kind === 'soften') {
      expect(this.packed.purge(key, 'stale', NOW_MS)).toBe(responses.length)
      this.model.set(
        key,
        responses.map((each) => ({ ...each, staleSinceMs: NOW_MS })),
      )
    }
  }

  #purgeTag(tag: string, soft: boolean): void {
    let carriers = 0
    for (const [key, responses] of this.model) {
      carriers += responses.filter(({ tags }) => tags.includes(tag)).length
      const carries = (response: SampleResponse) => response.tags.includes(tag)
      if (soft)
        this.model.set(
          key,
          responses.map((each) => (carries(each) ? { ...each, staleSinceMs: NOW_MS } : each)),
        )
      else
        this.model.set(
          key,
          responses.filter((each) => !carries(each)),
        )
    }
    expect(this.packed.tagged(tag)).toBe(carriers)
    const picks = (_: string, head: { tags: readonly string[] }) => head.tags.includes(tag)
    let purged = 0
    for (let shard = 0; shard < this.packed.shards; shard++) {
      for (const hash of this.packed.taggedHashes(shard, tag)) {
        purged += this.packed.purgeHash(hash, picks, soft ? 'stale' : 'delete', () => NOW_MS).purged
      }
    }
    expect(purged).toBe(carriers)
  }
}

describe('packed responses', () => {
  for (const [name, hash] of Object.entries(hashes)) {
    it(`are what was stored or not there, whatever was done and thrown out, with a hash ${name}`, () => {
      const actions = fc.array(action, { minLength: 50, maxLength: 400, size: 'max' })
      let evictions = 0
      fc.assert(
        fc.property(
          actions,
          fc.oneof(fc.integer({ min: 2_000, max: 9_000 }), fc.integer({ min: 9_000, max: 70_000 })),
          (todo, maxBytes) => {
            const pair = new Pair(maxBytes, hash)
            for (const each of todo) pair.do(each as Action)
            for (const key of pair.model.keys()) pair.check(key)
            evictions += pair.packed.stats.evictions
            for (const key of pair.model.keys()) pair.packed.purge(key, 'delete', NOW_MS)
            for (const tag of ['shoes', 'sale', '\u4e16']) expect(pair.packed.tagged(tag)).toBe(0)
            // All that was taken is given back: there is room for as much as there ever was.
            const large = sampleResponse('large', { body: [Buffer.alloc(Math.floor(maxBytes * 0.6))] })
            const fits = new PackedResponses(maxBytes, 1).put('large', large, large.body)
            expect(pair.packed.put('large', large, large.body)).toBe(fits)
            expect(pair.packed.stats.responses).toBe(fits ? 1 : 0)
          },
        ),
        { numRuns: 60, endOnFailure: true },
      )
      expect(evictions).toBeGreaterThan(100)
    })
  }

  it('come back with every text as it was', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)) }),
      fc.string({ unit: fc.nat(65_535).map((code) => String.fromCharCode(code)) }),
      fc.constantFrom('', '\ud800', '\udc00\ud800', '\u0100', 'x'.repeat(70_000), '\u4e16'.repeat(40_000)),
    )
    const texts = fc.array(text, { maxLength: 6 })
    const number = fc.double({ noNaN: true })
    const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })
    const given = fc.record({
      id: text,
      variant: text,
      statusText: text,
      partition: text,
      etag: maybe(text),
      headers: texts,
      vary: texts,
      varyValues: fc.array(maybe(text), { maxLength: 4 }),
      tags: texts,
      dateMs: number,
      lifetimeMs: number,
      lastModifiedMs: maybe(number),
      completeBytes: maybe(number),
      parts: maybe(fc.array(fc.record({ first: number, last: number }), { maxLength: 3 })),
      status: fc.integer({ min: 100, max: 999 }),
      method: fc.constantFrom('GET' as const, 'HEAD' as const, 'POST' as const),
      noCache: fc.boolean(),
    })
    fc.assert(
      fc.property(text, given, fc.uint8Array({ maxLength: 40 }), (key, changes, content) => {
        const packed = new PackedResponses(16 * 1_048_576, 3)
        const response = sampleResponse('', { ...changes, body: [content] })
        expect(packed.put(key, response, response.body)).toBe(true)
        for (let times = 0; times < 3; times++) {
          const [found] = packed.get(key)!
          expect(headOf(found!)).toEqual(headOf(response))
          expect(contentOf(found!).equals(content)).toBe(true)
        }
        expect(packed.get(`${key}x`)).toBeUndefined()
        const heads: unknown[] = []
        for (const hash of packed.hashes(0)) {
          packed.purgeHash(
            hash,
            (of, head) => heads.push(of, headOf(head)) > 0,
            'stale',
            () => NOW_MS,
          )
        }
        expect(heads).toEqual([key, headOf(response)])
      }),
    )
  })

  it('give out content that stays as it is, however often its place is written over', () => {
    const packed = new PackedResponses(100_000, 3)
    const kept: (readonly [Buffer, readonly StoredResponse[]])[] = []
    for (let at = 0; at < 2_000; at++) {
      const response = sampleResponse(`${at}`, { body: [Buffer.alloc(10 + (at % 400), `${at};`)] })
      packed.put(`key ${at}`, response, response.body)
      if (at % 10 !== 0) continue
      for (let times = 0; times <= at % 3; times++) {
        kept.push(
          [contentOf(response), packed.get(`key ${at}`)!],
          [contentOf(response), [{ ...response, body: packed.content(`key ${at}`, `${at}`) }]],
        )
      }
    }
    expect(packed.stats.evictions).toBeGreaterThan(1_000)
    for (const [content, [found]] of kept) expect(contentOf(found!).equals(content)).toBe(true)
  })

  it('keep what is read again and again, and let go what is not', () => {
    const packed = new PackedResponses(200_000, 3)
    const put = (key: string) => packed.put(key, sampleResponse(key), sampleResponse(key).body)
    const wanted = Array.from({ length: 60 }, (_, at) => `wanted ${at}`)
    for (const key of wanted) put(key)
    for (let at = 0; at < 5_000; at++) {
      put(`other ${at}`)
      packed.get(wanted[at % wanted.length]!)
    }
    expect(wanted.filter((key) => packed.get(key) === undefined)).toEqual([])
    expect(packed.stats.evictions).toBeGreaterThan(4_000)
  })

  it('lose nothing while what is replaced makes room enough', () => {
    const packed = new PackedResponses(120_000, 3)
    const put = (key: string, round: number) => {
      const response = sampleResponse(`${key} ${round}`)
      packed.put(key, response, response.body)
    }
    // In each segment stands what lasts, between what is renewed.
    for (let at = 0; at < 100; at++) {
      put(`lasting ${at}`, 0)
      put(`renewed ${at}`, 0)
    }
    for (let round = 1; round < 200; round++) for (let at = 0; at < 100; at++) put(`renewed ${at}`, round)
    expect(packed.stats).toMatchObject({ responses: 200, evictions: 0 })
  })

  it('hold no more than a few keys of one hash, so that nobody can make lookups slow', () => {
    const packed = new PackedResponses(1_000_000, 3, () => 7)
    for (let at = 0; at < 100; at++) packed.put(`key ${at}`, sampleResponse('r'), sampleResponse('r').body)
    expect(packed.stats).toEqual(expect.objectContaining({ responses: 8, evictions: 92 }))
    expect(packed.get('key 99')).toHaveLength(1)
  })

  it('keep large content as it is, without a copy', () => {
    const packed = new PackedResponses(64 * 1_048_576, 3)
    const content = Buffer.allocUnsafeSlow(200_000)
    const response = sampleResponse('r', { body: [content] })
    packed.put('key', response, response.body)
    packed.update('key', headOf({ ...response, lifetimeMs: 1 }))
    expect(packed.get('key')?.[0]?.body?.[0]).toBe(content)
    expect(packed.get('key')?.[0]?.lifetimeMs).toBe(1)
  })
})
