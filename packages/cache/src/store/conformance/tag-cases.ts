import assert from 'node:assert/strict'
import type { StoreCase } from './conformance-case.ts'
import { cannotRead, headOf, holds, holdsNothing, putAll, responsesOf, sampleResponse } from './sample-response.ts'

const KEY = 'GET https://shop.example/products'
const OTHER = 'GET https://shop.example/baskets'

export const tagCases: readonly StoreCase[] = [
  {
    name: 'a purge by tag takes away what carries it, behind whatever key, and no other variant beside it',
    async run(store) {
      const both = sampleResponse('both', { variant: 'gzip', tags: ['shoes', 'sale'] })
      const one = sampleResponse('one', { tags: ['sale'] })
      const none = sampleResponse('none', { variant: 'none' })
      const elsewhere = sampleResponse('elsewhere', { tags: ['shoes'] })
      await putAll(store, KEY, both, one, none)
      await putAll(store, OTHER, elsewhere)
      assert.equal(await store.purgeTag('shoes', 'delete'), 2, 'purgeTag() must say how many')
      await holds(store, KEY, none, one)
      await holdsNothing(store, OTHER, 'elsewhere')
      await cannotRead(store, KEY, 'both', 'its content can still be read')
      assert.equal(await store.purgeTag('shoes', 'delete'), 0, 'nothing carried it any more')
      assert.equal(await store.purgeTag('sale', 'delete'), 1, 'the other tag of what was purged is still counted')
    },
  },
  {
    name: 'a soft purge by tag makes stale what carries it, and keeps it',
    async run(store) {
      const tagged = sampleResponse('tagged', { variant: 'gzip', tags: ['shoes'] })
      const untagged = sampleResponse('untagged')
      await putAll(store, KEY, tagged, untagged)
      assert.equal(await store.purgeTag('shoes', 'stale'), 1, 'purgeTag() must say how many')
      const staleSinceMs = (await responsesOf(store, KEY))[1]?.staleSinceMs
      assert.equal(typeof staleSinceMs, 'number', 'not made stale')
      await holds(store, KEY, untagged, { ...tagged, staleSinceMs })
      assert.equal(await store.purgeTag('shoes', 'delete'), 1, 'the tag was lost in a soft purge')
      await holds(store, KEY, untagged)
    },
  },
  {
    name: 'tags are told apart by all of their text',
    async run(store) {
      const tags = [
        'a',
        'A',
        'ab',
        'a b',
        '*',
        '__proto__',
        'constructor',
        'toString',
        KEY,
        'caf\u00e9',
        '\u4e16',
        't'.repeat(5_000),
      ]
      for (const [at, tag] of tags.entries()) await putAll(store, `key ${at}`, sampleResponse('r', { tags: [tag] }))
      for (const tag of ['', 'b', 'unknown', 'valueOf', 'key 1']) {
        assert.equal(await store.purgeTag(tag, 'delete'), 0, `something carried ${JSON.stringify(tag)}`)
      }
      for (const [at, tag] of tags.entries()) {
        await holds(store, `key ${at}`, sampleResponse('r', { tags: [tag] }))
        assert.equal(await store.purgeTag(tag, 'delete'), 1, `purgeTag(${JSON.stringify(tag.slice(0, 20))})`)
        await holdsNothing(store, `key ${at}`, 'r')
      }
    },
  },
  {
    name: 'the tags of a response are those of its last update',
    async run(store) {
      await putAll(store, KEY, sampleResponse('a', { tags: ['old', 'kept'] }))
      const updated = sampleResponse('a', { tags: ['kept', 'new'] })
      await store.update(KEY, headOf(updated))
      assert.equal(await store.purgeTag('old', 'delete'), 0, 'an update left a tag behind')
      await holds(store, KEY, updated)
      assert.equal(await store.purgeTag('new', 'delete'), 1, 'an update lost a tag')
      await holdsNothing(store, KEY, 'a')
      assert.equal(await store.purgeTag('kept', 'delete'), 0, 'a purge left a tag behind')
    },
  },
  {
    name: 'the tags of what was replaced, removed or purged lead nowhere',
    async run(store) {
      await putAll(store, KEY, sampleResponse('a', { tags: ['first'] }), sampleResponse('b', { tags: ['second'] }))
      assert.equal(await store.purgeTag('first', 'delete'), 0, 'the tag of a replaced response')
      await holds(store, KEY, sampleResponse('b', { tags: ['second'] }))
      await store.remove(KEY, 'b')
      assert.equal(await store.purgeTag('second', 'delete'), 0, 'the tag of a removed response')
      await putAll(store, KEY, sampleResponse('c', { tags: ['third'] }))
      await store.purge(KEY, 'delete')
      const untagged = sampleResponse('d')
      await putAll(store, KEY, untagged)
      assert.equal(await store.purgeTag('third', 'delete'), 0, 'the tag of a purged response')
      await holds(store, KEY, untagged)
    },
  },
  {
    name: 'a tag that is named twice counts once',
    async run(store) {
      await putAll(store, KEY, sampleResponse('a', { tags: ['shoes', 'shoes'] }))
      assert.equal(await store.purgeTag('shoes', 'delete'), 1, 'purgeTag() must count responses')
      await holdsNothing(store, KEY, 'a')
    },
  },
  {
    name: 'a tag that hundreds carry takes all of them away',
    async run(store) {
      const keys = Array.from({ length: 200 }, (_, at) => `${KEY}/${at}`)
      for (const [at, key] of keys.entries()) {
        await putAll(store, key, sampleResponse('r', { tags: at % 4 === 0 ? ['all'] : ['all', 'most'] }))
      }
      assert.equal(await store.purgeTag('most', 'delete'), 150, 'purgeTag() must say how many')
      for (const [at, key] of keys.entries()) {
        if (at % 4 === 0) await holds(store, key, sampleResponse('r', { tags: ['all'] }))
        else await holdsNothing(store, key, 'r')
      }
      assert.equal(await store.purgeTag('all', 'delete'), 50, 'purgeTag() must say how many')
    },
  },
]
