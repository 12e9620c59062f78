import assert from 'node:assert/strict'
import type { StoreCase } from './conformance-case.ts'
import { cannotRead, headOf, holds, holdsNothing, putAll, sampleResponse } from './sample-response.ts'

const KEY = 'GET https://shop.example/products'

export const updateCases: readonly StoreCase[] = [
  {
    name: 'an update replaces the head and keeps the content',
    async run(store) {
      const body = [Buffer.from('content that '), Buffer.from('stays')]
      const validated = sampleResponse('a', {
        body,
        headers: ['content-type', 'text/plain', 'x-validated', 'yes'],
        receivedAtMs: 1_750_000_900_000,
        lifetimeMs: 120_000,
        lastModifiedMs: 1_740_000_000_000,
        etag: undefined,
      })
      await putAll(store, KEY, sampleResponse('a', { body }))
      assert.equal(await store.update(KEY, headOf(validated)), true, 'update() must say that it was there')
      await holds(store, KEY, validated)
    },
  },
  {
    name: 'an update leaves the other variants and keys as they are',
    async run(store) {
      const gzip = sampleResponse('gzip', { variant: 'gzip' })
      const brotli = sampleResponse('brotli', { variant: 'brotli' })
      const plain = sampleResponse('plain')
      await putAll(store, KEY, gzip, brotli, plain)
      await putAll(store, `${KEY}/1`, plain)
      const validated = { ...brotli, lifetimeMs: 1 }
      assert.equal(await store.update(KEY, headOf(validated)), true, 'update() must say that it was there')
      const found = await store.get(KEY)
      assert.deepEqual(found?.map(({ id, lifetimeMs }) => `${id} ${lifetimeMs}`).toSorted(), [
        'brotli 1',
        'gzip 60000',
        'plain 60000',
      ])
      await store.remove(KEY, 'brotli')
      await holds(store, KEY, plain, gzip)
      await holds(store, `${KEY}/1`, plain)
    },
  },
  {
    name: 'an update of what is not there changes nothing',
    async run(store) {
      await putAll(store, KEY, sampleResponse('a'))
      assert.equal(await store.update(KEY, headOf(sampleResponse('b', { status: 404 }))), false, 'update() of b')
      await holds(store, KEY, sampleResponse('a'))
      await store.remove(KEY, 'a')
      assert.equal(await store.update(KEY, headOf(sampleResponse('a'))), false, 'update() of what is gone')
      await holdsNothing(store, KEY, 'a', 'b')
    },
  },
  {
    name: 'an update can make a response stale, and fresh again',
    async run(store) {
      const response = sampleResponse('a')
      const stale = { ...response, staleSinceMs: 1_750_000_300_000 }
      await putAll(store, KEY, response)
      await store.update(KEY, headOf(stale))
      await holds(store, KEY, stale)
      await store.update(KEY, headOf(response))
      await holds(store, KEY, response)
    },
  },
  {
    name: 'an update that gives a response the variant of another takes its place',
    async run(store) {
      const validated = sampleResponse('validated', { variant: '' })
      await putAll(store, KEY, sampleResponse('a', { variant: '' }))
      await putAll(store, KEY, sampleResponse('validated', { variant: 'gzip' }))
      assert.equal(await store.update(KEY, headOf(validated)), true, 'update() must say that it was there')
      await holds(store, KEY, validated)
      await cannotRead(store, KEY, 'a', 'the content that gave way can still be read')
    },
  },
  {
    name: 'content outlives many updates',
    async run(store) {
      const response = sampleResponse('a', { body: [Buffer.alloc(10_000, 'a')] })
      await putAll(store, KEY, response)
      for (let round = 1; round <= 50; round++) {
        await store.update(KEY, headOf({ ...response, receivedAtMs: response.receivedAtMs + round }))
      }
      await holds(store, KEY, { ...response, receivedAtMs: response.receivedAtMs + 50 })
    },
  },
]
