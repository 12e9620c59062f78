import { createServer } from 'node:net'

/**
 * Below the range from which the kernel takes the ports of outgoing connections: a port that is down for a while must
 * not be taken by one of them, nor answer itself.
 */
const FIRST = 20_000
const LAST = 29_999

let next = FIRST + Math.floor(Math.random() * (LAST - FIRST))

/** A port of 127.0.0.1 that is free now, and is not given out twice by this process. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const port = next
    next = next === LAST ? FIRST : next + 1
    if (await isFree(port)) return port
  }
  throw new Error(`no free port from ${FIRST} to ${LAST}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
