import { request } from 'node:http'
import { crowdOfProxy, crowds } from './cache-crowd.ts'
import { checkCacheStore } from './cache-store.ts'
import { type Bench, LONG_BODY_BYTES, longBody, MAX_HEAP_GROWTH_MIB, withGateway } from './memory.ts'
import { download } from './memory-clients.ts'
import type { State } from './state.ts'
import type { Verdict } from './verdict.ts'

const SCENARIO = 'cache-memory'
const MIB = 1024 * 1024
const CACHEABLE = '&cache-control=max-age=3600'

/** What a cache holds in memory, what it lets pass, and what it makes of a crowd. */
export async function checkCacheMemory(print: (line: string) => void): Promise<readonly Verdict[]> {
  return [
    ...(await checkCacheStore(print)),
    ...(await withGateway('postern-cache', SCENARIO, print, (bench) => passes(bench, 'download', CACHEABLE))),
    ...(await withGateway('postern-cache', SCENARIO, print, (bench) =>
      passes(bench, 'download of unknown length', `${CACHEABLE}&chunked=1`),
    )),
    ...(await withGateway('postern-cache', SCENARIO, print, crowds)),
    ...(await withGateway('postern-proxy', SCENARIO, print, crowdOfProxy)),
  ]
}

/** A response that could be stored, were it not so long. */
async function passes(bench: Bench, name: string, query: string): Promise<readonly Verdict[]> {
  let before: State | undefined
  const transfer = async (port: number, bytes: number): Promise<void> => {
    // Between the transfer that warms and the one that counts.
    if (bytes === LONG_BODY_BYTES) before = await bench.gateway.ask<State>({ ask: 'state' })
    await download(port, bytes, query)
  }
  const verdicts = await longBody(bench, name, transfer)
  const after = await bench.gateway.ask<State>({ ask: 'state' })
  const growthMib = (after.heapBytes - before!.heapBytes) / MIB
  const status = await askStored(bench.port, `/download?bytes=${LONG_BODY_BYTES}${query}`)
  return [
    ...verdicts,
    {
      scenario: SCENARIO,
      what: `1 GiB ${name}: nothing stored, no memory kept`,
      asked: `504 when only a stored one will do, <= ${MAX_HEAP_GROWTH_MIB} MiB`,
      measured: `${status}, ${growthMib.toFixed(1)} MiB`,
      ok: status === 504 && growthMib <= MAX_HEAP_GROWTH_MIB,
    },
  ]
}

/** A cache must answer 504 when it has nothing stored (RFC 9111 §5.2.1.7). */
function askStored(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'cache-control': 'only-if-cached' }
    const client = request({ port, host: '127.0.0.1', path, headers, agent: false }, (response) => {
      resolve(response.statusCode)
      response.destroy()
    })
    client.on('error', reject)
    client.end()
  })
}
