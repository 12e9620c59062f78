import assert from 'node:assert/strict'
import type { StoreCase } from './conformance-case.ts'
import { cannotRead, holds, holdsNothing, putAll, type SampleResponse, sampleResponse } from './sample-response.ts'

// Names that objects have already, patterns of other stores' query languages, look-alikes, prefixes of each other.
const ODD_KEYS: readonly string[] = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '*',
  '?',
  '[a-z]',
  '%',
  '_',
  '..',
  '../../etc/passwd',
  '/',
  'a',
  'A',
  'a*',
  'a:b',
  'a:b:c',
  'a\u0000b',
  'a\r\nb',
  '{a}',
  '$a',
  "a'; --",
  'caf\u00e9',
  'cafe\u0301',
  '\u4e16\u754c',
  '\ud83d\ude80',
  '\u0130',
  'i\u0307',
  'k'.repeat(20_000),
  `${'k'.repeat(20_000)}2`,
]

function responseForEach(keys: readonly string[]): readonly (readonly [string, SampleResponse])[] {
  return keys.map((key, at) => [key, sampleResponse(`for key ${at}`)] as const)
}

export const keyCases: readonly StoreCase[] = [
  {
    name: 'behind a key that nothing was stored for is nothing',
    async run(store) {
      for (const key of ['GET https://shop.example/', ...ODD_KEYS]) {
        await holdsNothing(store, key, 'unknown', '__proto__', '')
        assert.equal(await store.purge(key, 'delete'), 0, 'purge() found something')
        assert.equal(await store.purge(key, 'stale'), 0, 'purge() found something')
        assert.equal(await store.remove(key, 'unknown'), false, 'remove() found something')
        assert.equal(await store.update(key, sampleResponse('unknown')), false, 'update() found something')
        await holdsNothing(store, key, 'unknown')
      }
    },
  },
  {
    name: 'keys do not mix, however odd or alike they are',
    async run(store) {
      const stored = responseForEach(ODD_KEYS)
      for (const [key, response] of stored) await putAll(store, key, response)
      for (const [key, response] of stored) await holds(store, key, response)
    },
  },
  {
    name: 'a purge of one odd key leaves all others',
    async run(store) {
      const stored = responseForEach(ODD_KEYS)
      for (const [key, response] of stored) await putAll(store, key, response)
      for (const [at, [key, response]] of stored.entries()) {
        assert.equal(await store.purge(key, 'delete'), 1, `purge() of ${JSON.stringify(key.slice(0, 20))}`)
        await holdsNothing(store, key, response.id)
        for (const [otherKey, other] of stored.slice(at + 1)) await holds(store, otherKey, other)
      }
    },
  },
  {
    name: 'the content of one key is not read through another',
    async run(store) {
      await putAll(store, 'one', sampleResponse('a'))
      await putAll(store, 'two', sampleResponse('b'))
      await cannotRead(store, 'one', 'b', 'content of another key')
      await cannotRead(store, 'two', 'a', 'content of another key')
      assert.equal(await store.remove('two', 'a'), false, 'remove() reached another key')
      assert.equal(
        await store.update('two', sampleResponse('a', { status: 404 })),
        false,
        'update() reached another key',
      )
      await holds(store, 'one', sampleResponse('a'))
      await holds(store, 'two', sampleResponse('b'))
    },
  },
  {
    name: 'many keys keep their own',
    async run(store) {
      const stored = responseForEach(Array.from({ length: 200 }, (_, at) => `GET https://shop.example/products/${at}`))
      await Promise.all(stored.map(([key, response]) => store.put(key, response)))
      for (const [key, response] of stored) await holds(store, key, response)
    },
  },
]
