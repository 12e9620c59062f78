import { describe, expect, it } from 'vitest'
import { sampleResponse } from '../../src/store/conformance/sample-response.ts'
import { memoryStore } from '../../src/store/memory-store.ts'

const MEBIBYTE = 1_048_576
const KEY = 'GET https://shop.example/products'
const CLOCK = { now: () => 0, wallNow: () => 1_750_000_500_000 }

const object = (id: string, bytes: number) => sampleResponse(id, { body: [Buffer.alloc(bytes)] })

describe('a memory store that is full', () => {
  it('lets the least recently used key go', () => {
    const store = memoryStore({ maxBytes: 10 * MEBIBYTE })
    for (let at = 0; at < 9; at++) store.put(`key ${at}`, object('r', MEBIBYTE))
    for (const at of [0, 2, 4]) store.get(`key ${at}`)
    for (let at = 9; at < 12; at++) store.put(`key ${at}`, object('r', MEBIBYTE))
    const left = Array.from({ length: 12 }, (_, at) => at).filter(
      (at) => store.readBody(`key ${at}`, 'r') !== undefined,
    )
    expect(left).toEqual([0, 2, 4, 6, 7, 8, 9, 10, 11])
    expect(store.stats).toMatchObject({ responses: 9, evictions: 3 })
  })

  it('keeps what is asked for again and again, over thousands of others', () => {
    const store = memoryStore({ maxBytes: 64 * MEBIBYTE })
    const hot = Array.from({ length: 100 }, (_, at) => `hot ${at}`)
    for (const key of hot) store.put(key, object('r', 10_000))
    for (let at = 0; at < 20_000; at++) {
      store.put(`cold ${at}`, object('r', 10_000))
      store.get(hot[at % hot.length]!)
    }
    expect(store.stats.evictions).toBeGreaterThan(10_000)
    expect(hot.filter((key) => store.get(key) === undefined)).toEqual([])
  })

  it('lets all variants of a key go, and their tags', () => {
    const store = memoryStore({ maxBytes: 100_000 })
    for (const variant of ['a', 'b', 'c']) store.put(KEY, { ...object(variant, 20_000), variant, tags: ['shoes'] })
    store.put('large', object('large', 80_000))
    expect(store.get(KEY)).toBeUndefined()
    expect(store.stats).toMatchObject({ responses: 1, evictions: 3 })
    expect(store.purgeTag('shoes', 'delete')).toBe(0)
  })

  it('does not count a look at the content, a purge or a purge of others as a use', async () => {
    const store = memoryStore({ maxBytes: 3 * MEBIBYTE })
    store.put('first', object('r', MEBIBYTE))
    store.put('second', object('r', MEBIBYTE))
    store.readBody('first', 'r')
    store.purge('first', 'stale')
    await store.purgeWhere(() => false, 'delete')
    store.put('third', object('r', MEBIBYTE))
    expect(store.get('first')).toBeUndefined()
    expect(store.get('second')).toBeDefined()
  })

  it('counts an update as a use', () => {
    const store = memoryStore({ maxBytes: 3 * MEBIBYTE })
    store.put('first', object('r', MEBIBYTE))
    store.put('second', object('r', MEBIBYTE))
    store.update('first', object('r', MEBIBYTE))
    store.put('third', object('r', MEBIBYTE))
    expect(store.get('first')).toBeDefined()
    expect(store.get('second')).toBeUndefined()
  })

  it('makes room for a head that grew in an update', () => {
    const store = memoryStore({ maxBytes: 100_000 })
    store.put('first', object('r', 40_000))
    store.put('second', object('r', 40_000))
    const grown = sampleResponse('r', { headers: ['x-large', 'x'.repeat(30_000)] })
    expect(store.update('second', grown)).toBe(true)
    expect(store.stats.bytes).toBeLessThanOrEqual(100_000)
    expect(store.get('first')).toBeUndefined()
    expect(store.get('second')).toMatchObject([{ bodyBytes: 40_000 }])
  })

  it('refuses what has no room by itself, and throws nothing out for it', () => {
    const store = memoryStore({ maxBytes: 100_000 })
    store.put(KEY, sampleResponse('small'))
    const before = store.stats
    expect(store.put('huge', sampleResponse('huge', { headers: ['x-huge', 'x'.repeat(100_000)] }))).toBe(false)
    expect(store.put('x'.repeat(100_000), sampleResponse('long key'))).toBe(false)
    expect(store.put('tags', sampleResponse('tags', { tags: ['t'.repeat(100_000)] }))).toBe(false)
    expect(store.stats).toEqual(before)
  })

  it('lets the oldest variants go when one key alone is too much', () => {
    const store = memoryStore({ maxBytes: 100_000 })
    for (const variant of ['a', 'b', 'c']) store.put(KEY, { ...object(variant, 45_000), variant })
    const found = store.get(KEY) as readonly { id: string }[]
    expect(found.map(({ id }) => id)).toEqual(['c', 'b'])
    expect(store.stats.evictions).toBe(1)
  })
})

describe('a memory store', () => {
  it('gives out the most recent variants, up to maxVariants', () => {
    const store = memoryStore({ maxVariants: 3 })
    for (const variant of ['a', 'b', 'c', 'd', 'e']) store.put(KEY, sampleResponse(variant, { variant }))
    const found = store.get(KEY) as readonly { id: string }[]
    expect(found.map(({ id }) => id)).toEqual(['e', 'd', 'c'])
    expect(store.stats).toMatchObject({ responses: 3, evictions: 2 })
  })

  it('refuses content that is longer than maxObjectBytes, or not as long as its head says', () => {
    const store = memoryStore({ maxObjectBytes: 1_000 })
    expect(store.put(KEY, object('r', 1_000))).toBe(true)
    expect(store.put('more', object('r', 1_001))).toBe(false)
    expect(store.put('cut', { ...object('r', 900), bodyBytes: 1_000 })).toBe(false)
    expect(store.put('none', { ...object('r', 900), body: undefined })).toBe(false)
    expect(store.stats.responses).toBe(1)
  })

  it('answers at once', async () => {
    const store = memoryStore()
    expect(store.put(KEY, sampleResponse('r', { tags: ['shoes'] }))).toBe(true)
    expect(store.get(KEY)).toMatchObject([{ id: 'r' }])
    expect(store.readBody(KEY, 'r')).toHaveLength(1)
    expect(store.update(KEY, sampleResponse('r', { tags: ['shoes'] }))).toBe(true)
    expect(store.purgeTag('shoes', 'stale')).toBe(1)
    expect(store.purge(KEY, 'stale')).toBe(1)
    expect(store.remove(KEY, 'r')).toBe(true)
    expect(store.close()).toBeUndefined()
  })

  it('notes the wall time of a soft purge, and keeps that of the first', () => {
    let now = 1_000
    const store = memoryStore({ clock: { now: () => 0, wallNow: () => now } })
    store.put(KEY, sampleResponse('r'))
    store.purge(KEY, 'stale')
    now = 2_000
    store.purge(KEY, 'stale')
    expect(store.get(KEY)).toMatchObject([{ staleSinceMs: 1_000 }])
  })

  it('gives out the very same content, when that is large, after an update and a soft purge', () => {
    const store = memoryStore({ clock: CLOCK })
    store.put(KEY, object('r', MEBIBYTE))
    const before = store.readBody(KEY, 'r')
    store.update(KEY, sampleResponse('r', { lifetimeMs: 1 }))
    store.purge(KEY, 'stale')
    expect(store.readBody(KEY, 'r')).toBe(before)
    expect(store.get(KEY)).toMatchObject([{ lifetimeMs: 1, staleSinceMs: CLOCK.wallNow() }])
  })

  it('counts what it holds, and never shrinks below what it keeps to write on', () => {
    const store = memoryStore({ maxBytes: 8 * MEBIBYTE })
    const empty = store.stats.bytes
    for (let at = 0; at < 1_000; at++) store.put(`key ${at}`, object('r', 1_000))
    const filled = store.stats.bytes
    expect(filled - empty).toBeGreaterThan(1_200_000)
    expect(filled - empty).toBeLessThan(1_400_000)
    for (let at = 0; at < 1_000; at++) store.purge(`key ${at}`, 'delete')
    for (let at = 0; at < 1_000; at++) store.put(`key ${at}`, object('r', 1_000))
    expect(store.stats.bytes).toBeLessThan(filled + 300_000)
  })

  it('keeps one of two responses that an update makes the same variant', () => {
    const store = memoryStore()
    store.put(KEY, sampleResponse('validated', { variant: 'gzip' }))
    store.put(KEY, sampleResponse('other', { variant: '' }))
    store.update(KEY, sampleResponse('validated', { variant: '' }))
    expect(store.get(KEY)).toMatchObject([{ id: 'validated', variant: '' }])
  })

  it('lets go of everything when it is closed, and takes nothing more', () => {
    const store = memoryStore()
    store.put(KEY, sampleResponse('r'))
    store.close()
    expect(store.get(KEY)).toBeUndefined()
    expect(store.put(KEY, sampleResponse('r'))).toBe(false)
    expect(store.stats).toMatchObject({ responses: 0, bytes: 0 })
  })
})

describe('a purge of thousands', () => {
  const filled = () => {
    const store = memoryStore({ maxBytes: 256 * MEBIBYTE })
    for (let at = 0; at < 20_000; at++) store.put(`key ${at}`, sampleResponse('r', { tags: ['all'] }))
    return store
  }
  const busy = () => {
    const until = performance.now() + 0.02
    while (performance.now() < until);
    return true
  }

  it('lets requests go on meanwhile, by function', async () => {
    const store = filled()
    let turns = 0
    const ticking = setInterval(() => turns++)
    expect(await store.purgeWhere(busy, 'delete')).toBe(20_000)
    clearInterval(ticking)
    expect(turns).toBeGreaterThan(5)
    expect(store.stats).toMatchObject({ responses: 0 })
  })

  it('takes its time for a tag that many carry, and takes all', async () => {
    const store = filled()
    expect(await store.purgeTag('all', 'stale')).toBe(20_000)
    expect(store.stats.responses).toBe(20_000)
    const purging = store.purgeTag('all', 'delete')
    expect(purging).toBeInstanceOf(Promise)
    expect(await purging).toBe(20_000)
    expect(store.stats).toMatchObject({ responses: 0 })
  })

  it('takes what was there, while others come, go and are replaced', async () => {
    const store = filled()
    const coming = setInterval(() => {
      for (let at = 0; at < 50; at++) {
        store.put(`new ${Math.random()}`, sampleResponse('new'))
        store.purge(`key ${Math.floor(Math.random() * 20_000)}`, 'delete')
      }
    })
    await store.purgeWhere((_, head) => head.id === 'r' && busy(), 'delete')
    clearInterval(coming)
    const left = new Set<string>()
    await store.purgeWhere((_, head) => !left.add(head.id), 'delete')
    expect([...left]).toEqual(['new'])
    await store.purgeWhere(() => true, 'delete')
    expect(store.stats).toMatchObject({ responses: 0 })
  })

  it('rejects when the function throws, and leaves the rest as it was', async () => {
    const store = memoryStore()
    store.put(KEY, sampleResponse('a', { variant: 'a' }))
    store.put(KEY, sampleResponse('b', { variant: 'b' }))
    const picks = (_: string, head: { id: string }) => {
      if (head.id === 'a') throw new Error('not this one')
      return true
    }
    await expect(store.purgeWhere(picks, 'delete')).rejects.toThrow('not this one')
    expect(store.get(KEY)).toMatchObject([{ id: 'b' }, { id: 'a' }])
  })

  it('ends when the store is closed meanwhile', async () => {
    const store = filled()
    const purging = store.purgeWhere(busy, 'delete')
    store.close()
    expect(await purging).toBeLessThan(20_000)
  })
})
