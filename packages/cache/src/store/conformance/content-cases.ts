import assert from 'node:assert/strict'
import type { StoreCase } from './conformance-case.ts'
import { cannotRead, holds, holdsNothing, putAll, sampleResponse } from './sample-response.ts'

const MEBIBYTE = 1_048_576
const KEY = 'GET https://shop.example/products'

export const contentCases: readonly StoreCase[] = [
  {
    name: 'a response is given back with its head and its content',
    async run(store) {
      const response = sampleResponse('a')
      await putAll(store, KEY, response)
      await holds(store, KEY, response)
    },
  },
  {
    name: 'every field of a head comes back as it was, those that are undefined too',
    async run(store) {
      const response = sampleResponse('a', {
        variant: 'accept-encoding="gzip, br" user=\u0000',
        method: 'POST',
        status: 206,
        statusText: 'Partial Content, caf\u00e9',
        headers: ['set-cookie', 'a=1', 'set-cookie', 'b=2', 'x-empty', '', 'x-odd', '", \\ caf\u00e9 \u00ff {}'],
        partition: 'tenant \u4e16',
        vary: ['accept-encoding', 'x-tenant'],
        varyValues: ['gzip, br', undefined],
        initialAgeMs: 0.5,
        lifetimeMs: 31_536_000_000,
        heuristic: true,
        noCache: true,
        mustRevalidate: true,
        staleWhileRevalidateMs: 2 ** 31 * 1_000,
        staleIfErrorMs: 1,
        etag: 'W/"a"',
        lastModifiedMs: -1_000,
        tags: ['product-1', 'caf\u00e9'],
        staleSinceMs: 1_750_000_100_000,
        body: [Buffer.from('abcdef')],
        parts: [
          { first: 0, last: 3 },
          { first: 2 ** 32, last: 2 ** 32 + 1 },
        ],
        completeBytes: 2 ** 40,
      })
      const bare = sampleResponse('b', { variant: 'bare', statusText: '', headers: [], etag: undefined })
      const unknownLength = sampleResponse('c', { variant: 'partial', completeBytes: undefined, varyValues: [''] })
      await putAll(store, KEY, response, bare, unknownLength)
      await holds(store, KEY, unknownLength, bare, response)
    },
  },
  {
    name: 'empty content is content',
    async run(store) {
      const none = sampleResponse('none', { variant: 'none', body: [] })
      const empty = sampleResponse('empty', { variant: 'empty', body: [new Uint8Array(0)] })
      await putAll(store, KEY, none, empty)
      await holds(store, KEY, empty, none)
    },
  },
  {
    name: 'content of several pieces keeps their order',
    async run(store) {
      const pieces = ['one, ', '', 'two, ', 'three, '.repeat(9_000), 'four'].map((text) => Buffer.from(text))
      const response = sampleResponse('a', { body: pieces })
      await putAll(store, KEY, response)
      await holds(store, KEY, response)
    },
  },
  {
    name: 'content is bytes, whatever they are',
    async run(store) {
      const every = Uint8Array.from({ length: 512 }, (_, at) => at & 0xff)
      const response = sampleResponse('a', { body: [every, Uint8Array.of(0xff, 0xfe, 0xc3, 0x28, 0, 13, 10)] })
      await putAll(store, KEY, response)
      await holds(store, KEY, response)
    },
  },
  {
    name: 'content that is part of a larger buffer is given back as that part',
    async run(store) {
      const larger = Buffer.alloc(65_536, 'x')
      larger.write('the part that is meant', 40_000)
      const response = sampleResponse('a', { body: [larger.subarray(40_000, 40_022)] })
      await putAll(store, KEY, response)
      const found = await store.get(KEY)
      assert.equal(found?.length, 1, 'not stored')
      await holds(store, KEY, sampleResponse('a', { body: [Buffer.from('the part that is meant')] }))
    },
  },
  {
    name: 'large content comes back whole',
    async run(store) {
      const bytes = Math.min(MEBIBYTE, store.maxObjectBytes)
      const large = Buffer.alloc(bytes)
      for (let at = 0; at < bytes; at += 997) large[at] = at % 251
      const response = sampleResponse('a', { body: [large.subarray(0, bytes >> 1), large.subarray(bytes >> 1)] })
      await putAll(store, KEY, response)
      await holds(store, KEY, response)
    },
  },
  {
    name: 'content longer than maxObjectBytes is refused, and what was there stays or goes, but is not mixed up',
    async run(store) {
      assert.ok(store.maxObjectBytes >= 0, 'maxObjectBytes is no length')
      if (store.maxObjectBytes === Number.POSITIVE_INFINITY) return
      // The same pieces over and over, so that it takes no memory however much that is.
      const piece = new Uint8Array(MEBIBYTE)
      const whole = Array.from({ length: Math.floor(store.maxObjectBytes / MEBIBYTE) }, () => piece)
      const tooLong = [...whole, piece.subarray(0, (store.maxObjectBytes % MEBIBYTE) + 1)]
      assert.equal(await store.put(KEY, sampleResponse('a', { body: tooLong })), false, 'put() must return false')
      await holdsNothing(store, KEY, 'a')
      const first = sampleResponse('first')
      await putAll(store, KEY, first)
      assert.equal(await store.put(KEY, sampleResponse('b', { body: tooLong })), false, 'put() must return false')
      await cannotRead(store, KEY, 'b', 'content that was refused can be read')
      if ((await store.get(KEY))?.length) await holds(store, KEY, first)
    },
  },
]
