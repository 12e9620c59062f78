import assert from 'node:assert/strict'
import type { StoreCase } from './conformance-case.ts'
import { cannotRead, contentOf, holds, holdsNothing, putAll, responsesOf, sampleResponse } from './sample-response.ts'

const KEY = 'GET https://shop.example/products'

export const variantCases: readonly StoreCase[] = [
  {
    name: 'variants of one key stand side by side, the most recently stored first',
    async run(store) {
      const gzip = sampleResponse('gzip', { variant: 'gzip' })
      const brotli = sampleResponse('brotli', { variant: 'brotli' })
      const plain = sampleResponse('plain', { variant: '' })
      await putAll(store, KEY, gzip, brotli, plain)
      await holds(store, KEY, plain, brotli, gzip)
    },
  },
  {
    name: 'a response takes the place of the one of its variant, comes first, and leaves the others',
    async run(store) {
      const gzip = sampleResponse('gzip', { variant: 'gzip' })
      const old = sampleResponse('old', { variant: 'brotli' })
      const plain = sampleResponse('plain', { variant: '' })
      const renewed = sampleResponse('renewed', { variant: 'brotli' })
      await putAll(store, KEY, gzip, old, plain, renewed)
      await holds(store, KEY, renewed, plain, gzip)
      await cannotRead(store, KEY, 'old', 'the content that was replaced can still be read')
      assert.equal(await store.update(KEY, old), false, 'update() found what was replaced')
      assert.equal(await store.remove(KEY, 'old'), false, 'remove() found what was replaced')
      await holds(store, KEY, renewed, plain, gzip)
    },
  },
  {
    name: 'variants are told apart by all of their text',
    async run(store) {
      const names = ['', ' ', 'a', 'A', 'a ', '__proto__', 'constructor', 'a\u0000', 'caf\u00e9', 'cafe\u0301', '*']
      const responses = names.map((variant, at) => sampleResponse(`variant ${at}`, { variant }))
      await putAll(store, KEY, ...responses)
      await holds(store, KEY, ...responses.toReversed())
    },
  },
  {
    name: 'of many variants the last is there, and those that are still there are whole and in order',
    async run(store) {
      const stored = Array.from({ length: 200 }, (_, at) => sampleResponse(String(at), { variant: `variant ${at}` }))
      await putAll(store, KEY, ...stored)
      const found = await responsesOf(store, KEY)
      assert.equal(found[0]?.id, '199', 'the last is not first')
      let before = 200
      for (const response of found) {
        const at = Number(response.id)
        assert.ok(at < before, 'not the most recently stored first')
        before = at
        assert.equal(response.variant, `variant ${at}`, 'variants are mixed up')
        assert.equal((await contentOf(store, KEY, response))?.toString(), `content of ${at}`, 'content is mixed up')
      }
    },
  },
  {
    name: 'remove takes one response away and no other',
    async run(store) {
      const gzip = sampleResponse('gzip', { variant: 'gzip' })
      const brotli = sampleResponse('brotli', { variant: 'brotli' })
      await putAll(store, KEY, gzip, brotli)
      assert.equal(await store.remove(KEY, 'unknown'), false, 'remove() of an unknown id')
      assert.equal(await store.remove(KEY, 'gzip'), true, 'remove() must say that it was there')
      await holds(store, KEY, brotli)
      await cannotRead(store, KEY, 'gzip', 'its content can still be read')
      assert.equal(await store.remove(KEY, 'gzip'), false, 'remove() of what is gone')
      assert.equal(await store.remove(KEY, 'brotli'), true, 'remove() must say that it was there')
      await holdsNothing(store, KEY, 'gzip', 'brotli')
    },
  },
  {
    name: 'what was removed can be stored again',
    async run(store) {
      await putAll(store, KEY, sampleResponse('a'))
      await store.remove(KEY, 'a')
      await putAll(store, KEY, sampleResponse('b'))
      await holds(store, KEY, sampleResponse('b'))
    },
  },
]
