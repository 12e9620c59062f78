import { type CacheStore, memoryStore, type StoredHead, type StoredResponse } from '../../src/index.ts'

/** A store in front of another one; a test replaces what it wants to be odd. */
export function storeOver(inner: CacheStore, odd: Partial<CacheStore> = {}): CacheStore {
  return {
    get: (key) => inner.get(key),
    readBody: (key, id) => inner.readBody(key, id),
    put: (key, response) => inner.put(key, response),
    update: (key, head) => inner.update(key, head),
    remove: (key, id) => inner.remove(key, id),
    purge: (key, mode) => inner.purge(key, mode),
    purgeTag: (tag, mode) => inner.purgeTag(tag, mode),
    purgeWhere: (picks, mode) => inner.purgeWhere(picks, mode),
    close: () => inner.close(),
    maxObjectBytes: inner.maxObjectBytes,
    get stats() {
      return inner.stats
    },
    ...odd,
  }
}

/** A turn of the event loop and more, as it takes to ask another process. */
function away(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2))
}

/** A store as one in another process is: every answer comes later, content apart from heads, and nothing is shared memory. */
export function remoteStore(inner = memoryStore()): CacheStore {
  const plain = <Value>(value: Value): Value => structuredClone(value)
  return storeOver(inner, {
    async get(key) {
      await away()
      const found = (await inner.get(key)) ?? []
      return found.map((response) => plain({ ...response, body: undefined }))
    },
    async readBody(key, id) {
      await away()
      return plain(await inner.readBody(key, id))
    },
    async put(key, response: StoredResponse) {
      const copy = plain(response)
      await away()
      return inner.put(key, copy)
    },
    async update(key, head: StoredHead) {
      const copy = plain(head)
      await away()
      return inner.update(key, copy)
    },
    async remove(key, id) {
      await away()
      return inner.remove(key, id)
    },
    async purge(key, mode) {
      await away()
      return inner.purge(key, mode)
    },
    async purgeTag(tag, mode) {
      await away()
      return inner.purgeTag(tag, mode)
    },
  })
}
