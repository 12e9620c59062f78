import { describe, expect, it } from 'vitest'
import type { CacheStore } from '../../src/store/cache-store.ts'
import { cacheStoreConformance } from '../../src/store/conformance.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import type { StoredHead, StoredResponse } from '../../src/stored-response.ts'

// The suite is only worth something when it fails for stores that do wrong: each of these does one thing wrong.

type Good = { [Name in keyof CacheStore]: CacheStore[Name] }

const lists = (found: unknown) => (found ?? []) as readonly StoredResponse[]

const has = (store: CacheStore, key: string, id: string) => lists(store.get(key)).some((response) => response.id === id)

/** The same head over other content of that length. */
const withBlanks = (head: StoredHead) => ({ ...head, body: [Buffer.alloc(head.bodyBytes)] })

/** A memory store of which some members are others. */
function storeWith(change: (good: CacheStore) => Partial<Good>): () => CacheStore {
  return () => {
    const good = memoryStore({ maxObjectBytes: 1_048_576 })
    const whole: Good = {
      get: (key) => good.get(key),
      readBody: (key, id) => good.readBody(key, id),
      put: (key, response) => good.put(key, response),
      update: (key, head) => good.update(key, head),
      purge: (key, mode) => good.purge(key, mode),
      remove: (key, id) => good.remove(key, id),
      purgeTag: (tag, mode) => good.purgeTag(tag, mode),
      purgeWhere: (picks, mode) => good.purgeWhere(picks, mode),
      maxObjectBytes: good.maxObjectBytes,
      stats: good.stats,
      close: () => good.close(),
    }
    return { ...whole, ...change(good) }
  }
}

const broken: Readonly<Record<string, () => CacheStore>> = {
  'says that it stored, and does not': storeWith(() => ({ put: () => true })),
  'stores, and does not say it': storeWith((good) => ({ put: (key, response) => good.put(key, response) && false })),
  'folds the case of keys': storeWith((good) => ({
    get: (key) => good.get(key.toLowerCase()),
    readBody: (key, id) => good.readBody(key.toLowerCase(), id),
    put: (key, response) => good.put(key.toLowerCase(), response),
  })),
  'cuts long keys': storeWith((good) => ({
    get: (key) => good.get(key.slice(0, 20_000)),
    readBody: (key, id) => good.readBody(key.slice(0, 20_000), id),
    put: (key, response) => good.put(key.slice(0, 20_000), response),
  })),
  'normalises keys': storeWith((good) => ({
    get: (key) => good.get(key.normalize()),
    readBody: (key, id) => good.readBody(key.normalize(), id),
    put: (key, response) => good.put(key.normalize(), response),
  })),
  'has the names of objects as keys': storeWith((good) => ({
    get: (key) => (key in {} ? [good] : good.get(key)) as readonly StoredResponse[],
  })),
  'loses the order of variants': storeWith((good) => ({ get: (key) => lists(good.get(key)).toReversed() })),
  'keeps one variant only': storeWith((good) => ({ get: (key) => lists(good.get(key)).slice(0, 1) })),
  'gives replaced variants out': storeWith((good) => ({
    get: (key) =>
      lists(good.get(key)).map((response) => ({ ...response, variant: response.variant.split('/')[0] ?? '' })),
    put: (key, response) => good.put(key, { ...response, variant: `${response.variant}/${response.id}` }),
  })),
  'gives the content of another variant': storeWith((good) => ({
    get(key) {
      const found = lists(good.get(key))
      return found.map((response) => ({ ...response, body: found[0]?.body }))
    },
  })),
  'reads content by id alone': storeWith((good) => {
    const contents = new Map<string, readonly Uint8Array[] | undefined>()
    return {
      put(key, response) {
        contents.set(response.id, response.body)
        return good.put(key, response)
      },
      readBody: (_, id) => contents.get(id),
    }
  }),
  'reads content as text': storeWith((good) => ({
    put(key, response) {
      const text = Buffer.concat(response.body ?? []).toString()
      return good.put(key, { ...response, body: [Buffer.from(text)], bodyBytes: Buffer.byteLength(text) })
    },
  })),
  'keeps the first piece of content only': storeWith((good) => ({
    get: (key) => lists(good.get(key)).map((response) => ({ ...response, body: response.body?.slice(0, 1) })),
  })),
  'keeps the buffer and not the part of it': storeWith((good) => {
    const buffers = new Map<string, readonly Uint8Array[] | undefined>()
    return {
      get: (key) => lists(good.get(key)).map((response) => ({ ...response, body: buffers.get(response.id) })),
      put(key, response) {
        const whole = response.body?.map((piece) => (piece.length === 22 ? new Uint8Array(piece.buffer) : piece))
        buffers.set(response.id, whole)
        return good.put(key, response)
      },
    }
  }),
  'does not store empty content': storeWith((good) => ({
    put: (key, response) => (response.bodyBytes === 0 ? false : good.put(key, response)),
  })),
  'stores what is too large': storeWith((good) => {
    const { maxObjectBytes } = good
    return { maxObjectBytes: maxObjectBytes - 1, put: (key, response) => good.put(key, response) }
  }),
  'writes heads as JSON': storeWith((good) => ({
    get: (key) =>
      lists(good.get(key)).map((response) => ({
        ...JSON.parse(JSON.stringify({ ...response, body: undefined })),
        body: response.body,
      })),
  })),
  'forgets a field of heads': storeWith((good) => ({
    get: (key) => lists(good.get(key)).map((response) => ({ ...response, lastModifiedMs: undefined })),
  })),
  'does not update': storeWith((good) => ({ update: (key, { id }) => has(good, key, id) })),
  'updates and loses the content': storeWith((good) => ({
    update: (key, head) => has(good, key, head.id) && good.put(key, withBlanks(head)),
  })),
  'updates what is not there': storeWith((good) => ({
    update: (key, head) => good.update(key, head) || (good.put(key, withBlanks(head)) && false),
  })),
  'updates all variants': storeWith((good) => ({
    update(key, head) {
      const found = lists(good.get(key))
      const { lifetimeMs } = head
      for (const response of found) if (response.id !== head.id) good.update(key, { ...response, lifetimeMs })
      return good.update(key, head)
    },
  })),
  'keeps the tags of before an update': storeWith((good) => {
    const before = new Map<string, readonly string[]>()
    return {
      put(key, response) {
        before.set(response.id, response.tags)
        return good.put(key, response)
      },
      update: (key, head) => good.update(key, { ...head, tags: before.get(head.id) ?? head.tags }),
    }
  }),
  'removes every variant': storeWith((good) => ({
    remove(key, id) {
      const there = has(good, key, id)
      if (there) good.purge(key, 'delete')
      return there
    },
  })),
  'does not remove': storeWith((good) => ({
    remove: (key, id) => has(good, key, id),
  })),
  'purges one variant only': storeWith((good) => ({
    purge(key) {
      const [first] = lists(good.get(key))
      return first !== undefined && good.remove(key, first.id) ? 1 : 0
    },
  })),
  'purges keys that begin alike': storeWith((good) => {
    const keys = new Set<string>()
    return {
      put(key, response) {
        keys.add(key)
        return good.put(key, response)
      },
      purge(key, mode) {
        for (const other of keys) if (other !== key && other.startsWith(key)) good.purge(other, mode)
        return good.purge(key, mode)
      },
    }
  }),
  'takes away in a soft purge': storeWith((good) => ({
    purge: (key) => good.purge(key, 'delete'),
    purgeTag: (tag) => good.purgeTag(tag, 'delete'),
    purgeWhere: (picks) => good.purgeWhere(picks, 'delete'),
  })),
  'takes away in a soft purge by tag': storeWith((good) => ({ purgeTag: (tag) => good.purgeTag(tag, 'delete') })),
  'takes away in a soft purgeWhere': storeWith((good) => ({ purgeWhere: (picks) => good.purgeWhere(picks, 'delete') })),
  'ignores a soft purge': storeWith((good) => ({
    purge: (key, mode) => (mode === 'stale' ? lists(good.get(key)).length : good.purge(key, mode)),
  })),
  'takes all behind a key for one tag': storeWith((good) => {
    const keysOf = new Map<string, Set<string>>()
    return {
      put(key, response) {
        for (const tag of response.tags) keysOf.set(tag, (keysOf.get(tag) ?? new Set()).add(key))
        return good.put(key, response)
      },
      purgeTag(tag, mode) {
        let purged = 0
        for (const key of keysOf.get(tag) ?? []) purged += good.purge(key, mode) as number
        return purged
      },
    }
  }),
  'takes one response away for a tag': storeWith((good) => ({
    async purgeTag(tag, mode) {
      let done = false
      const first = (_: string, head: StoredHead) => !done && head.tags.includes(tag) && (done = true)
      return good.purgeWhere(first, mode)
    },
  })),
  'takes tags that begin alike': storeWith((good) => ({
    purgeTag: (tag, mode) => good.purgeWhere((_, head) => head.tags.some((other) => other.startsWith(tag)), mode),
  })),
  'counts tags and not responses': storeWith((good) => ({
    async purgeTag(tag, mode) {
      let tags = 0
      await good.purgeWhere((_, head) => {
        tags += head.tags.filter((other) => other === tag).length
        return false
      }, mode)
      await good.purgeTag(tag, mode)
      return tags
    },
  })),
  'picks everything': storeWith((good) => ({ purgeWhere: (_, mode) => good.purgeWhere(() => true, mode) })),
  'looks at the first hundred only': storeWith((good) => ({
    purgeWhere(picks, mode) {
      let looked = 0
      return good.purgeWhere((key, head) => ++looked <= 100 && picks(key, head), mode)
    },
  })),
  'shows no keys to purgeWhere': storeWith((good) => ({
    purgeWhere: (picks, mode) => good.purgeWhere((_, head) => picks('', head), mode),
  })),
  'writes the heads before the content': storeWith((good) => {
    // As a store with two files a response would, were the files named by variant and not by response.
    const contents = new Map<string, readonly Uint8Array[]>()
    return {
      async get(key) {
        const found = lists(good.get(key))
        await null
        return found.map((response) => ({ ...response, body: contents.get(key + response.variant) }))
      },
      readBody: (key, id) => {
        const found = lists(good.get(key)).find((response) => response.id === id)
        return found && contents.get(key + found.variant)
      },
      async put(key, response) {
        const stored = await good.put(key, response)
        await null
        contents.set(key + response.variant, response.body ?? [])
        return stored
      },
    }
  }),
  'changes lists that it gave out': storeWith((good) => {
    const given = new Map<string, StoredResponse[]>()
    return {
      get(key) {
        const list = given.get(key) ?? []
        given.set(key, list)
        list.splice(0, list.length, ...lists(good.get(key)))
        return list
      },
      put(key, response) {
        given.get(key)?.unshift(response)
        return good.put(key, response)
      },
    }
  }),
  'counts below zero': storeWith(() => ({ stats: { responses: -1, bytes: 0, evictions: 0 } })),
  'fails when it is closed twice': storeWith((good) => {
    let closed = false
    return {
      close() {
        if (closed) throw new Error('closed already')
        closed = true
        return good.close()
      },
    }
  }),
  'gives something else out after close': storeWith((good) => {
    let closed = false
    return {
      get(key) {
        const found = lists(good.get(key))
        return closed ? [{ ...found[0], id: 'ghost' } as StoredResponse] : found
      },
      close() {
        closed = true
      },
    }
  }),
}

describe('the conformance suite', () => {
  it('passes a store that does nothing wrong', async () => {
    expect(await failuresOf(storeWith(() => ({})))).toEqual([])
  })

  it('passes a store that answers later and keeps its content apart', async () => {
    const remote = storeWith((good) => ({
      async get(key) {
        await null
        return lists(good.get(key)).map((response) => ({ ...response, body: undefined }))
      },
      async readBody(key, id) {
        await null
        return good.readBody(key, id)
      },
      async put(key, response) {
        await null
        return good.put(key, response)
      },
      async update(key, head) {
        await null
        return good.update(key, head)
      },
    }))
    expect(await failuresOf(remote)).toEqual([])
  })

  it.each(Object.entries(broken))('fails a store that %s', async (_, open) => {
    expect(await failuresOf(open)).not.toEqual([])
  })

  it('closes what it opened, also when a case fails', async () => {
    let open = 0
    const leaky = () => {
      open++
      const store = storeWith(() => ({ put: () => true, close: () => void open-- }))()
      return store
    }
    for (const { run } of cacheStoreConformance(leaky).slice(0, 8)) await run().catch(() => undefined)
    expect(open).toBe(0)
  })
})

async function failuresOf(open: () => CacheStore): Promise<string[]> {
  const failures: string[] = []
  for (const { name, run } of cacheStoreConformance(open)) {
    await run().catch((error: unknown) => failures.push(`${name}: ${String(error)}`))
  }
  return failures
}
