import assert from 'node:assert/strict'
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
const OTHER = 'GET https://shop.example/baskets'
const gzip = sampleResponse('gzip', { variant: 'gzip' })
const plain = sampleResponse('plain')
const other = sampleResponse('other')

export const purgeCases: readonly StoreCase[] = [
  {
    name: 'a purge takes all responses of its key away and no others',
    async run(store) {
      await putAll(store, KEY, gzip, plain)
      await putAll(store, OTHER, other)
      assert.equal(await store.purge(KEY, 'delete'), 2, 'purge() must say how many')
      await holdsNothing(store, KEY, 'gzip', 'plain')
      await holds(store, OTHER, other)
      assert.equal(await store.purge(KEY, 'delete'), 0, 'there was nothing left to purge')
      await putAll(store, KEY, plain)
      await holds(store, KEY, plain)
    },
  },
  {
    name: 'a soft purge makes all responses of its key stale, and keeps them',
    async run(store) {
      await putAll(store, KEY, gzip, plain)
      await putAll(store, OTHER, other)
      assert.equal(await store.purge(KEY, 'stale'), 2, 'purge() must say how many')
      const found = await responsesOf(store, KEY)
      assert.deepEqual(
        found.map((response) => response.id),
        ['plain', 'gzip'],
        'a soft purge must neither take away nor change the order',
      )
      for (const response of found) {
        assert.equal(typeof response.staleSinceMs, 'number', `${response.id} was not made stale`)
        const before = response.id === 'gzip' ? gzip : plain
        assert.deepEqual(headOf({ ...response, staleSinceMs: undefined }), headOf(before), 'the head changed')
        assert.equal((await contentOf(store, KEY, response))?.toString(), `content of ${response.id}`)
      }
      await holds(store, OTHER, other)
    },
  },
  {
    name: 'a response that is stored after a soft purge is not stale',
    async run(store) {
      await putAll(store, KEY, plain)
      await store.purge(KEY, 'stale')
      const renewed = sampleResponse('renewed')
      await putAll(store, KEY, renewed)
      await holds(store, KEY, renewed)
    },
  },
  {
    name: 'purgeWhere is shown every response with its key, and takes away what is picked',
    async run(store) {
      await putAll(store, KEY, gzip, plain)
      await putAll(store, OTHER, other)
      const shown: string[] = []
      const purged = await store.purgeWhere((key, head) => {
        shown.push(`${key} ${head.id}`)
        assert.deepEqual(headOf(head), headOf([gzip, plain, other].find(({ id }) => id === head.id)!), 'another head')
        return head.id === 'gzip'
      }, 'delete')
      assert.deepEqual(shown.toSorted(), [`${OTHER} other`, `${KEY} gzip`, `${KEY} plain`], 'not every one once')
      assert.equal(purged, 1, 'purgeWhere() must say how many')
      await holds(store, KEY, plain)
      await holds(store, OTHER, other)
      await cannotRead(store, KEY, 'gzip', 'its content can still be read')
    },
  },
  {
    name: 'purgeWhere makes stale what is picked, and nothing else',
    async run(store) {
      await putAll(store, KEY, gzip, plain)
      await putAll(store, OTHER, other)
      assert.equal(await store.purgeWhere((key) => key === OTHER, 'stale'), 1, 'purgeWhere() must say how many')
      await holds(store, KEY, plain, gzip)
      const [stale] = await responsesOf(store, OTHER)
      assert.equal(typeof stale?.staleSinceMs, 'number', 'not made stale')
      await holds(store, OTHER, { ...other, staleSinceMs: stale?.staleSinceMs })
    },
  },
  {
    name: 'purgeWhere that picks nothing changes nothing, one that picks all leaves nothing',
    async run(store) {
      const keys = Array.from({ length: 150 }, (_, at) => `${KEY}/${at}`)
      for (const key of keys) await putAll(store, key, plain)
      assert.equal(await store.purgeWhere(() => false, 'delete'), 0, 'nothing was picked')
      for (const key of keys) await holds(store, key, plain)
      assert.equal(await store.purgeWhere(() => true, 'delete'), 150, 'purgeWhere() must say how many')
      for (const key of keys) await holdsNothing(store, key, 'plain')
    },
  },
]
