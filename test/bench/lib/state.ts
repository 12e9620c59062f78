import { writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { statusBytes } from './proc.ts'

/** What is left in a gateway process, after a forced collection. */
export interface State {
  /** JavaScript objects and the buffers that they hold on to outside the heap. */
  readonly heapBytes: number
  readonly rss: number
  /** Highest resident memory since the last `state`, or since the start where the kernel cannot reset it. */
  readonly peakRss: number
  readonly clientSockets: number
  /** All TCP sockets of the process, both sides. */
  readonly sockets: number
  /** Listeners on the server and on the process. */
  readonly listeners: number
  /** Warnings that Node gave about too many listeners on one emitter. */
  readonly leakWarnings: number
}

let leakWarnings = 0
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') leakWarnings += 1
})

/** Measures this process; needs `--expose-gc` for `heapBytes` to mean anything. */
export async function stateOf(server: Server): Promise<State> {
  const peakRss = statusBytes('self', 'VmHWM')
  for (let i = 0; i < 4; i += 1) {
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const clientSockets = await new Promise<number>((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
  })
  const memory = process.memoryUsage()
  const state = {
    heapBytes: memory.heapUsed + memory.external,
    rss: statusBytes('self', 'VmRSS'),
    peakRss,
    clientSockets,
    sockets: process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length,
    listeners: countListeners(server) + countListeners(process),
    leakWarnings,
  }
  // proc(5): writing 5 sets the peak back to the current size, so that each check sees its own peak.
  writeFileSync('/proc/self/clear_refs', '5')
  return state
}

function countListeners(emitter: NodeJS.EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0)
}
