import { request } from 'node:http'
import { atMost, count, type Figure } from '../lib/figure.ts'
import type { Rig } from '../lib/rig.ts'
import { sleep } from '../lib/wall-clock.ts'
import type { Row } from './row.ts'

const ABORTS = 400
/** Aborted at a time; more would measure the backlog of sockets. */
const AT_A_TIME = 40
const LATENCY_MS = 1_000
const LEAVE_AFTER_MS = 50
/** Long enough for idle connections to be given up. */
const IDLE_MS = 10_000
const MIB = 1_048_576

export const aborts: Row = {
  name: 'aborts',
  does:
    '400 clients leave 50 ms after they have asked for something that takes 1 s, 40 at a time, half of them with a reset; ' +
    'before that, as many as a warm-up. Memory is that of all processes of the gateway, for Node after forced garbage collections; connections are ' +
    'those that the upstreams have open 10 s later.',
  async run(rig) {
    await rig.warmUp()
    await Promise.all(rig.upstreams.ports.map((_, index) => rig.upstreams.behave(index, { latencyMs: LATENCY_MS })))
    await leave(rig, ABORTS)
    await settle(rig)
    const before = rig.process.rssBytes()
    await leave(rig, ABORTS)
    await settle(rig)
    const { connections } = await rig.upstreams.state()
    const after = rig.process.rssBytes()
    const growth: Figure = {
      row: '12',
      what: '400 aborts: memory before, after',
      value: after / before - 1,
      text: `${(before / MIB).toFixed(0)}, ${(after / MIB).toFixed(0)} MiB`,
      asked: atMost(0.1, 'within 10 %'),
    }
    return [count('12', '400 aborts: upstream connections left', connections, atMost(3)), growth]
  },
}

async function leave(rig: Rig, times: number): Promise<void> {
  for (let left = times; left > 0; left -= AT_A_TIME) {
    const clients = Array.from({ length: Math.min(left, AT_A_TIME) }, (_, index) => {
      const req = request({ host: '127.0.0.1', port: rig.port, path: `/orders/${2_000_000 + index}`, agent: false })
      // Both are what this client brings about itself.
      req.on('error', () => {})
      req.on('response', (res) => res.destroy())
      req.end()
      return req
    })
    await sleep(LEAVE_AFTER_MS)
    for (const [index, client] of clients.entries()) {
      if (index % 2 === 0) client.destroy()
      else client.socket?.resetAndDestroy()
    }
  }
}

/** Lets the upstreams finish and idle connections go, then collects garbage where there is a Node. */
async function settle(rig: Rig): Promise<void> {
  await rig.upstreams.quiet()
  await sleep(IDLE_MS)
  await rig.collectGarbage()
}
