import assert from 'node:assert/strict'
import type { StoredHead, StoredResponse } from '../../stored-response.ts'
import type { CacheStore } from '../cache-store.ts'

/** A response with its content at hand, as a store is given it. */
export type SampleResponse = StoredResponse & { readonly body: readonly Uint8Array[] }

// Every field of a head, so that one that a store forgets is missed here; the compiler watches the list.
const HEAD_FIELDS: Readonly<Record<keyof StoredHead, true>> = {
  id: true,
  variant: true,
  method: true,
  status: true,
  statusText: true,
  headers: true,
  partition: true,
  vary: true,
  varyValues: true,
  dateMs: true,
  receivedAtMs: true,
  initialAgeMs: true,
  lifetimeMs: true,
  heuristic: true,
  noCache: true,
  mustRevalidate: true,
  staleWhileRevalidateMs: true,
  staleIfErrorMs: true,
  etag: true,
  lastModifiedMs: true,
  tags: true,
  staleSinceMs: true,
  bodyBytes: true,
  parts: true,
  completeBytes: true,
}

/** A fresh GET response whose content names it: `content of <id>`. */
export function sampleResponse(id: string, changes: Partial<SampleResponse> = {}): SampleResponse {
  const body = changes.body ?? [Buffer.from(`content of ${id}`)]
  const bodyBytes = body.reduce((bytes, piece) => bytes + piece.byteLength, 0)
  return {
    id,
    variant: '',
    method: 'GET',
    status: 200,
    statusText: 'OK',
    headers: ['content-type', 'text/plain', 'etag', `"${id}"`],
    partition: '',
    vary: [],
    varyValues: [],
    dateMs: 1_750_000_000_000,
    receivedAtMs: 1_750_000_000_250,
    initialAgeMs: 250,
    lifetimeMs: 60_000,
    heuristic: false,
    noCache: false,
    mustRevalidate: false,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    etag: `"${id}"`,
    lastModifiedMs: undefined,
    tags: [],
    staleSinceMs: undefined,
    bodyBytes,
    parts: undefined,
    completeBytes: bodyBytes,
    ...changes,
    body,
  }
}

/** The head alone, with every field, the content left out. */
export function headOf(response: StoredHead): StoredHead {
  const fields = Object.keys(HEAD_FIELDS) as (keyof StoredHead)[]
  return Object.fromEntries(fields.map((field) => [field, response[field]])) as unknown as StoredHead
}

/** The responses behind a key; an empty list when there are none. */
export async function responsesOf(store: CacheStore, key: string): Promise<readonly StoredResponse[]> {
  return (await store.get(key)) ?? []
}

/** Their ids, in the order in which the store gives them. */
export async function idsOf(store: CacheStore, key: string): Promise<readonly string[]> {
  return (await responsesOf(store, key)).map((response) => response.id)
}

/** The content of a response that `get()` gave out, wherever the store has it; undefined when it is gone. */
export async function contentOf(store: CacheStore, key: string, response: StoredResponse): Promise<Buffer | undefined> {
  const pieces = response.body ?? (await store.readBody(key, response.id))
  return pieces === undefined ? undefined : Buffer.concat(pieces)
}

/** Stores responses behind a key, one after the other; each must be taken. */
export async function putAll(store: CacheStore, key: string, ...responses: readonly SampleResponse[]): Promise<void> {
  for (const response of responses) {
    assert.equal(await store.put(key, response), true, `put() of ${response.id} must say that it was stored`)
  }
}

/** Exactly these responses stand behind the key, in this order, each with its own head and its own content. */
export async function holds(store: CacheStore, key: string, ...expected: readonly SampleResponse[]): Promise<void> {
  const found = await responsesOf(store, key)
  const ids = expected.map((response) => response.id)
  assert.deepEqual(
    found.map((response) => response.id),
    ids,
    'other responses behind the key',
  )
  for (const [at, response] of found.entries()) {
    const { id, body } = expected[at]!
    const content = Buffer.concat(body)
    assert.deepEqual(headOf(response), headOf(expected[at]!), `another head than ${id} was stored with`)
    const given = await contentOf(store, key, response)
    assert.ok(given?.equals(content), `other content than ${id} was stored with`)
    const read = await store.readBody(key, id)
    assert.ok(read !== undefined, `readBody() does not have the content of ${id}`)
    assert.ok(Buffer.concat(read).equals(content), `readBody() has other content than ${id} was stored with`)
  }
}

/** Nothing stands behind the key, and none of these contents can be read. */
export async function holdsNothing(store: CacheStore, key: string, ...ids: readonly string[]): Promise<void> {
  assert.deepEqual(await idsOf(store, key), [], 'something is still behind the key')
  for (const id of ids) {
    await cannotRead(store, key, id, `the content of ${id} can still be read`)
  }
}

/**
 * The store has no content for the id. Not asked with `assert.equal()`, whose message compares what it was given line by
 * line: with a line a byte that takes minutes.
 */
export async function cannotRead(store: CacheStore, key: string, id: string, otherwise: string): Promise<void> {
  const pieces = await store.readBody(key, id)
  assert.ok(pieces === undefined, otherwise)
}
