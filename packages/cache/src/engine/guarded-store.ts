import { inspect } from 'node:util'
import { warnOnce } from '@postern/contracts'
import { type CacheStoreFailure, cacheStoreFailed } from '../channels.ts'
import type { CacheStore, Soon } from '../store/cache-store.ts'
import { isMemoryStore } from '../store/memory-store.ts'
import type { StoredHead, StoredResponse } from '../stored-response.ts'
import { isContent, isStoredResponse } from '../stored-response-check.ts'

type Operation = CacheStoreFailure['operation']

/**
 * A store that cannot do harm: what it throws, and what it does not say in time, is a miss, told to the operator and never to
 * a client. What is known at once is given back at once.
 */
export class GuardedStore {
  readonly store: CacheStore
  readonly #cache: string
  readonly #timeoutMs: number
  readonly #isOwn: boolean

  constructor(store: CacheStore, cache: string, timeoutMs: number) {
    this.store = store
    this.#cache = cache
    this.#timeoutMs = timeoutMs
    this.#isOwn = isMemoryStore(store)
  }

  get(key: string): Soon<readonly StoredResponse[] | undefined> {
    // Nearly all requests come this way: no function is made for them.
    if (this.#isOwn) return this.store.get(key)
    const soon = this.#ask('get', () => this.store.get(key))
    return soon instanceof Promise ? soon.then((found) => this.#checked(found)) : this.#checked(soon)
  }

  /** @param bytes how long the content must be */
  readBody(key: string, id: string, bytes: number): Soon<readonly Uint8Array[] | undefined> {
    const soon = this.#ask('readBody', () => this.store.readBody(key, id))
    const checked = (body: unknown): readonly Uint8Array[] | undefined => (isContent(body, bytes) ? body : undefined)
    return soon instanceof Promise ? soon.then(checked) : checked(soon)
  }

  put(key: string, response: StoredResponse): Soon<boolean | undefined> {
    return this.#ask('put', () => this.store.put(key, response))
  }

  update(key: string, head: StoredHead): Soon<boolean | undefined> {
    return this.#ask('update', () => this.store.update(key, head))
  }

  remove(key: string, id: string): Soon<boolean | undefined> {
    return this.#ask('remove', () => this.store.remove(key, id))
  }

  purge(key: string): Soon<number | undefined> {
    return this.#ask('purge', () => this.store.purge(key, 'delete'))
  }

  purgeTag(tag: string): Soon<number | undefined> {
    return this.#ask('purge', () => this.store.purgeTag(tag, 'delete'))
  }

  #checked(found: unknown): readonly StoredResponse[] | undefined {
    if (found === undefined || found === null) return undefined
    if (Array.isArray(found) && found.every(isStoredResponse)) return found
    return this.#failed('get', new TypeError('the store gave out something that is no stored response'))
  }

  #ask<Value>(operation: Operation, ask: () => Soon<Value>): Soon<Value | undefined> {
    try {
      const soon = ask()
      return soon instanceof Promise ? this.#within(operation, soon) : soon
    } catch (error) {
      return this.#failed(operation, error)
    }
  }

  #within<Value>(operation: Operation, soon: Promise<Value>): Promise<Value | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve(this.#failed(operation, new Error(`the store did not answer within ${this.#timeoutMs} ms`)))
      }, this.#timeoutMs)
      soon.then(
        (value) => {
          clearTimeout(timer)
          resolve(value)
        },
        (error: unknown) => {
          clearTimeout(timer)
          resolve(this.#failed(operation, error))
        },
      )
    })
  }

  #failed(operation: Operation, error: unknown): undefined {
    if (cacheStoreFailed.hasSubscribers) cacheStoreFailed.publish({ cache: this.#cache, operation, error })
    warnOnce(
      'POSTERN_CACHE_STORE_FAILED',
      `the store of the cache "${this.#cache}" failed (${operation}), and requests are treated as misses; further failures are told on the channel postern:store:failed: ${inspect(error)}`,
      this.#cache,
    )
    return undefined
  }
}

/**
 * Goes on with a value that may still have to come, without a promise when it is there.
 *
 * @param onThrown told what `goOn` has thrown later, when nobody else would catch it
 */
export function whenThere<Value>(
  soon: Soon<Value>,
  goOn: (value: Value) => void,
  onThrown: (error: unknown) => void = rethrow,
): void {
  if (soon instanceof Promise) soon.then(goOn).catch(onThrown)
  else goOn(soon)
}

function rethrow(error: unknown): never {
  throw error
}
