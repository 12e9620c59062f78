import { once } from 'node:events'
import net from 'node:net'
import { Worker } from 'node:worker_threads'

/** An address and how to give it back. */
export interface HeldAddress {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/**
 * A port of 127.0.0.1 where nobody listens, so that connecting is refused. The port is held as the local end of an
 * established connection: no other process can be given it meanwhile. Keeps no process alive.
 */
export async function refusedPort(): Promise<HeldAddress> {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  const holder = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const [[other]] = await Promise.all([accepted, once(holder, 'connect')])
  const port = holder.localPort!
  holder.on('error', () => {}).unref()
  other.on('error', () => {}).unref()
  server.close()
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async close() {
      holder.destroy()
      other.destroy()
    },
  }
}

const LISTENER = `
const { workerData, parentPort } = require('node:worker_threads')
const server = require('node:net').createServer()
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  Atomics.wait(new Int32Array(workerData), 0, 0)
})
`

/**
 * An address of 127.0.0.1 where connecting neither succeeds nor fails: a listener in a thread that stands still, whose
 * backlog (1) is filled. The kernel drops every further SYN, as a firewall does. Works on Linux.
 *
 * @throws when the kernel does not behave so
 */
export async function blackholeTarget(): Promise<HeldAddress> {
  const gate = new SharedArrayBuffer(4)
  const worker = new Worker(LISTENER, { eval: true, workerData: gate, execArgv: [] })
  worker.unref()
  const [port] = (await once(worker, 'message')) as [number]
  const fillers: net.Socket[] = []
  const close = async () => {
    for (const filler of fillers) filler.destroy()
    Atomics.store(new Int32Array(gate), 0, 1)
    Atomics.notify(new Int32Array(gate), 0)
    await worker.terminate()
  }
  // Connects until one hangs. Those that succeeded stay open: they are what fills the backlog.
  for (let tries = 0; tries < 16; tries++) {
    const filler = net.connect(port, '127.0.0.1')
    filler.on('error', () => {})
    filler.unref()
    fillers.push(filler)
    if (await hangs(filler)) return { url: `http://127.0.0.1:${port}`, port, close }
  }
  await close()
  throw new Error('blackholeTarget(): this system accepts connections beyond the backlog')
}

function hangs(socket: net.Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), 200)
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(false)
    })
  })
}
