/**
 * Fills memory stores with responses as `cache()` hands them over, without any HTTP, and looks them up. Needs
 * `--expose-gc`.
 */
import { writeFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type CacheStore, memoryStore } from '@postern/cache'
import { expectedBody } from '../lib/body.ts'
import { statusBytes } from '../lib/proc.ts'
import type { FillResult, LookupResult, StoreOrder } from '../lib/protocol.ts'
import { seeded } from '../lib/seeded.ts'
import { longestCollectionMs, settledBytes, watchCollections } from '../lib/settled.ts'

type StoredResponse = Parameters<CacheStore['put']>[1]

const BODY = expectedBody(1024)
const AMPLE_BYTES = 2 ** 40
/** Objects whose size is asked of a store with room for all, to know what a number of them needs. */
const PROBES = 2_000
/** What a store that is divided into parts needs beyond that, since no hash fills all parts alike. */
const SPARE = 1.02
/** Puts in one turn of the event loop; no more than a few requests would do. */
const PUTS_A_TURN = 20
const LOOKUPS = 100_000

watchCollections()

/** A text that is part of no other and has not been hashed, as one that was just read from a socket. */
function read(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

function keyOf(index: number): string {
  return read(`http://shop.example/products/${String(index).padStart(8, '0')}?view=full`)
}

function responseOf(index: number, nowMs: number): StoredResponse {
  const etag = read(`W/"400-${(index * 2_654_435_761).toString(16).padStart(13, '0')}"`)
  const body = Buffer.allocUnsafeSlow(BODY.length)
  body.set(BODY)
  return {
    id: read(`${index.toString(36)}-${nowMs.toString(36)}`),
    variant: '',
    method: 'GET',
    status: 200,
    statusText: '',
    headers: [
      'date',
      read(new Date(nowMs).toUTCString()),
      'content-type',
      read('application/json; charset=utf-8'),
      'etag',
      etag,
      'cache-control',
      read('public, max-age=3600'),
    ],
    partition: '',
    vary: [],
    varyValues: [],
    dateMs: nowMs,
    receivedAtMs: nowMs,
    initialAgeMs: 0,
    lifetimeMs: 3_600_000,
    heuristic: false,
    noCache: false,
    mustRevalidate: false,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    etag,
    lastModifiedMs: undefined,
    tags: [],
    staleSinceMs: undefined,
    bodyBytes: body.length,
    parts: undefined,
    completeBytes: undefined,
    body: [body],
  }
}

/** Puts objects in, a few in each turn of the event loop, and says how long the longest took. */
async function putAll(store: CacheStore, objects: number): Promise<number> {
  let longestMs = 0
  let turnAt = performance.now()
  for (let index = 0; index < objects; index += 1) {
    await store.put(keyOf(index), responseOf(index, Date.now()))
    if (index % PUTS_A_TURN !== 0) continue
    await nextTurn()
    const now = performance.now()
    longestMs = Math.max(longestMs, now - turnAt)
    turnAt = now
  }
  return longestMs
}

async function fill(objects: number, share: number): Promise<FillResult> {
  const probe = memoryStore({ maxBytes: AMPLE_BYTES })
  await putAll(probe, PROBES)
  const bytesPerObject = probe.stats.bytes / PROBES
  await probe.close()
  const maxBytes = Math.ceil(bytesPerObject * objects * (share === 1 ? SPARE : share))

  const before = await settledBytes()
  // proc(5): writing 5 sets the peak back to the current size.
  writeFileSync('/proc/self/clear_refs', '5')
  await longestCollectionMs()
  const store = memoryStore({ maxBytes })
  const cpuBefore = process.cpuUsage()
  const longestTurnMs = await putAll(store, objects)
  const { user, system } = process.cpuUsage(cpuBefore)
  const peak = statusBytes('self', 'VmHWM')
  const collectionMs = await longestCollectionMs()
  const after = await settledBytes()
  const { bytes, responses, evictions } = store.stats
  return {
    maxBytes,
    storedBytes: bytes,
    responses,
    evictions,
    growthBytes: after - before,
    peakGrowthBytes: peak - before,
    longestTurnMs,
    longestCollectionMs: collectionMs,
    nanosPerPut: ((user + system) * 1_000) / objects,
  }
}

interface Filled {
  readonly store: CacheStore
  /** As many keys in the simplest table there is: what the machine's memory costs, whatever the store does. */
  readonly map: ReadonlyMap<string, { readonly index: number }>
}

const filled = new Map<number, Filled>()
const random = seeded(0x51f15e5d)

async function filledWith(entries: number): Promise<Filled> {
  const known = filled.get(entries)
  if (known !== undefined) return known
  const store = memoryStore({ maxBytes: AMPLE_BYTES })
  await putAll(store, entries)
  const map = new Map<string, { index: number }>()
  for (let index = 0; index < entries; index += 1) map.set(keyOf(index), { index })
  filled.set(entries, { store, map })
  return { store, map }
}

async function lookUp(entries: number): Promise<LookupResult> {
  const { store, map } = await filledWith(entries)
  return {
    nanos: nanosOf(entries, (key) => (store.get(key) as readonly unknown[] | undefined)?.length === 1),
    mapNanos: nanosOf(entries, (key) => map.get(key) !== undefined),
  }
}

function nanosOf(entries: number, finds: (key: string) => boolean): number {
  const keys = Array.from({ length: LOOKUPS }, () => keyOf(Math.floor(random() * entries)))
  let found = 0
  const before = process.threadCpuUsage()
  for (const key of keys) if (finds(key)) found += 1
  const { user, system } = process.threadCpuUsage(before)
  if (found !== LOOKUPS) throw new Error(`${found} of ${LOOKUPS} lookups found what they asked for`)
  return ((user + system) * 1_000) / LOOKUPS
}

process.on('message', (order: StoreOrder) => {
  const work: Promise<FillResult | LookupResult> =
    order.ask === 'fill' ? fill(order.objects, order.share) : lookUp(order.entries)
  work.then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })
