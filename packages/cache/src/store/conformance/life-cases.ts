import assert from 'node:assert/strict'
import type { StoredResponse } from '../../stored-response.ts'
import type { CacheStore } from '../cache-store.ts'
import type { StoreCase } from './conformance-case.ts'
import {
  cannotRead,
  contentOf,
  headOf,
  holds,
  holdsNothing,
  putAll,
  responsesOf,
  sampleResponse,
} from './sample-response.ts'

const KEY = 'GET https://shop.example/products'
const VARIANTS = ['gzip', 'brotli', '']

/** What `get()` gave out is whole: the content names the response, and no variant is there twice. */
async function isConsistent(store: CacheStore, key: string, found: readonly StoredResponse[]): Promise<void> {
  const variants = new Set(found.map((response) => response.variant))
  assert.equal(variants.size, found.length, 'two responses of one variant')
  for (const response of found) {
    assert.equal(response.etag, `"${response.id}"`, 'the head of one response with the id of another')
    const content = await contentOf(store, key, response)
    // It may be gone by the time it is read.
    if (content !== undefined)
      assert.equal(content.toString(), `content of ${response.id}`, 'content of another response')
  }
}

export const lifeCases: readonly StoreCase[] = [
  {
    name: 'while one key is written, read, updated and purged at once, nothing is mixed up',
    async run(store) {
      const work: Promise<unknown>[] = []
      for (let round = 0; round < 60; round++) {
        const variant = VARIANTS[round % VARIANTS.length]!
        const response = sampleResponse(`${variant} ${round}`, { variant, tags: [`tag ${round % 2}`] })
        work.push(Promise.resolve(store.put(KEY, response)))
        work.push(responsesOf(store, KEY).then((found) => isConsistent(store, KEY, found)))
        if (round % 3 === 0) work.push(Promise.resolve(store.update(KEY, headOf({ ...response, lifetimeMs: round }))))
        if (round % 7 === 0) work.push(Promise.resolve(store.remove(KEY, response.id)))
        if (round % 11 === 0) work.push(Promise.resolve(store.purge(KEY, round % 2 === 0 ? 'delete' : 'stale')))
        if (round % 13 === 0) work.push(Promise.resolve(store.purgeTag('tag 1', 'delete')))
        if (round % 17 === 0) work.push(store.purgeWhere((_, head) => head.variant === 'gzip', 'delete'))
        if (round % 5 === 0) await Promise.all(work.splice(0))
      }
      await Promise.all(work)
      await isConsistent(store, KEY, await responsesOf(store, KEY))
      await store.purge(KEY, 'delete')
      await holdsNothing(store, KEY)
      const last = sampleResponse('last')
      await putAll(store, KEY, last)
      await holds(store, KEY, last)
    },
  },
  {
    name: 'of responses of one variant that are stored at once, one is left, whole',
    async run(store) {
      const ids = Array.from({ length: 20 }, (_, at) => `at once ${at}`)
      await Promise.all(ids.map((id) => store.put(KEY, sampleResponse(id))))
      const found = await responsesOf(store, KEY)
      assert.equal(found.length, 1, 'two responses of one variant')
      await isConsistent(store, KEY, found)
      const gone = ids.filter((id) => id !== found[0]?.id)
      for (const id of gone) await cannotRead(store, KEY, id, 'replaced content can be read')
    },
  },
  {
    name: 'what is stored is not changed by what is done later to a list that get() gave out before',
    async run(store) {
      const first = sampleResponse('first')
      await putAll(store, KEY, first)
      const found = await responsesOf(store, KEY)
      await putAll(store, KEY, sampleResponse('second', { variant: 'second' }))
      await store.purge(KEY, 'stale')
      assert.deepEqual(found.map(headOf), [headOf(first)], 'a list that was given out changed')
    },
  },
  {
    name: 'the statistics are numbers that are never negative',
    async run(store) {
      const check = () => {
        const { responses, bytes, evictions } = store.stats
        for (const number of [responses, bytes, evictions]) {
          assert.ok(Number.isFinite(number) && number >= 0, `not a count: ${number}`)
        }
      }
      check()
      await putAll(store, KEY, sampleResponse('a'), sampleResponse('b', { variant: 'b' }), sampleResponse('c'))
      check()
      await store.purgeWhere(() => true, 'delete')
      check()
    },
  },
  {
    name: 'after close nothing wrong is given out, and close can be called again',
    async run(store) {
      await putAll(store, KEY, sampleResponse('a'))
      await store.close()
      await store.close()
      let found: readonly StoredResponse[] = []
      try {
        found = await responsesOf(store, KEY)
      } catch {
        // To refuse is as good as to have nothing.
      }
      for (const response of found) assert.deepEqual(headOf(response), headOf(sampleResponse('a')), 'another head')
    },
  },
]
