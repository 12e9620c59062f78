import { Agent, request } from 'node:http'
import { atLeast, below, count, type Figure, time } from '../lib/figure.ts'
import { NORMAL } from '../lib/upstreams.ts'
import { sleep, wallMs } from '../lib/wall-clock.ts'
import type { Row } from './row.ts'

const REQUESTS = 20
const SLOW = { ...NORMAL, latencyMs: 1_000 }
const STOP_AFTER_MS = 200
/** Longest wait for the process to end. */
const END_MS = 6_000

interface Answer {
  /** A status, or the code of a client-side error. */
  readonly outcome: string
  readonly atMs: number
}

export const stop: Row = {
  name: 'stop',
  does:
    'The gateway is asked to go (SIGTERM; SIGQUIT for nginx, SIGUSR1 for haproxy) while 20 requests of 1 s are in flight ' +
    'over keep-alive connections; a new connection is tried 100 ms later.',
  behaviours: [SLOW, SLOW, SLOW],
  async run(rig) {
    const agent = new Agent({ keepAlive: true })
    const inFlight = Array.from({ length: REQUESTS }, (_, index) => ask(rig.port, index, agent))
    await sleep(STOP_AFTER_MS)
    rig.process.signal(rig.gateway.stopSignal)
    const ended = rig.process.ended.then(() => wallMs())
    await sleep(100)
    const late = await ask(rig.port, REQUESTS, false)
    const answers = await Promise.all(inFlight)
    const lastAtMs = Math.max(...answers.map((each) => each.atMs))
    const endedAtMs = await Promise.race([ended, sleep(END_MS).then(() => Number.POSITIVE_INFINITY)])
    agent.destroy()
    const finished = answers.filter((each) => each.outcome === '200').length
    const refused = late.outcome === 'ECONNREFUSED' || late.outcome === '503'
    const newConnection: Figure = {
      row: '14',
      what: 'graceful stop: a new connection',
      value: refused ? 0 : 1,
      text: late.outcome,
      asked: { text: 'refused or 503', holds: (value) => value === 0 },
    }
    const exit = time('14', 'graceful stop: ended after the last answer', Math.max(0, endedAtMs - lastAtMs))
    return [
      {
        ...count('14', 'graceful stop: finished of 20', finished, atLeast(REQUESTS, String(REQUESTS))),
        worse: 'less',
      },
      newConnection,
      {
        ...exit,
        text: endedAtMs === Number.POSITIVE_INFINITY ? `still running after ${END_MS / 1_000} s` : exit.text,
        asked: below(100, '< 100 ms'),
      },
    ]
  },
}

function ask(port: number, number: number, agent: Agent | false): Promise<Answer> {
  return new Promise((resolve) => {
    const done = (outcome: string): void => resolve({ outcome, atMs: wallMs() })
    const req = request({ host: '127.0.0.1', port, path: `/orders/${number}`, agent, timeout: 10_000 })
    req.on('response', (res) => {
      res.resume()
      res.on('error', () => done('cut'))
      res.on('end', () => done(String(res.statusCode)))
    })
    req.on('timeout', () => req.destroy(new Error('timeout')))
    req.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    req.end()
  })
}
