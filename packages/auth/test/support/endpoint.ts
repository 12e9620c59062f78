import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'

/**
 * What an endpoint can be told to do instead of its work.
 *
 * - `down`: closes the connection without an answer
 * - `silent`: never answers
 * - `dribble`: a good head, then one space every few milliseconds for ever
 * - `cut`: half of the good answer, then the connection is gone
 * - `redirect`: 302 to an address that gives the good answer, with a body that never ends
 * - `huge`: says 64 MiB and begins to send them
 * - `endless`: sends as fast as it is read, without a length, for ever
 * - `not-json`: a page of HTML with 200
 * - `packed`: the good answer, gzip-compressed, which nobody asked for
 * - a number: that status with a JSON body
 */
export type Fault =
  | 'down'
  | 'silent'
  | 'dribble'
  | 'cut'
  | 'redirect'
  | 'huge'
  | 'endless'
  | 'not-json'
  | 'packed'
  | number

/** An endpoint of a test server whose behaviour can be changed at any time. */
export class Endpoint {
  /** How many requests have come. */
  requests = 0
  /** How many of them followed the redirect of the fault of that name. */
  followed = 0
  /** How many are waited upon at this moment. */
  open = 0
  /** The largest number of requests that were open at once. */
  mostOpen = 0
  /** What goes wrong; undefined: nothing. */
  fault: Fault | undefined
  /** Further headers of good answers: `cache-control`. */
  headers: Record<string, string> = {}
  readonly #held: (() => void)[] = []
  #holding = false

  /** From now on requests wait, until the returned function is called. It lets those go that have come, and all after. */
  hold(): () => void {
    this.#holding = true
    return () => {
      this.#holding = false
      for (const go of this.#held.splice(0)) go()
    }
  }

  /** Counts a request, and answers it with what `good` returns, or does what the fault says. */
  async handle(req: IncomingMessage, res: ServerResponse, good: () => GoodAnswer): Promise<void> {
    this.requests++
    if (req.url!.endsWith('/elsewhere')) this.followed++
    this.open++
    this.mostOpen = Math.max(this.mostOpen, this.open)
    res.once('close', () => {
      this.open--
    })
    if (this.#holding) {
      await new Promise<void>((resolve) => {
        this.#held.push(resolve)
      })
    }
    const { fault } = this
    if (fault === undefined || req.url!.endsWith('/elsewhere')) return this.#answer(res, good())
    if (typeof fault === 'number') return this.#answer(res, { status: fault, body: { error: 'told_to_fail' } })
    FAULTS[fault](req, res, good)
  }

  #answer(res: ServerResponse, { status = 200, body, headers }: GoodAnswer): void {
    res.writeHead(status, { 'content-type': 'application/json', ...this.headers, ...headers })
    res.end(JSON.stringify(body))
  }
}

export interface GoodAnswer {
  readonly status?: number
  readonly body: unknown
  readonly headers?: Record<string, string>
}

type Misbehaviour = (req: IncomingMessage, res: ServerResponse, good: () => GoodAnswer) => void

const JSON_TYPE = { 'content-type': 'application/json' }
const KIBIBYTE = Buffer.alloc(1024, ' ')

const FAULTS: Readonly<Record<Exclude<Fault, number>, Misbehaviour>> = {
  down: (req) => {
    req.socket.destroy()
  },
  silent: () => {},
  dribble: (_, res) => {
    res.writeHead(200, JSON_TYPE)
    const timer = setInterval(() => res.write(' '), 5)
    res.once('close', () => clearInterval(timer))
  },
  cut: (req, res, good) => {
    const text = JSON.stringify(good().body)
    res.writeHead(200, { ...JSON_TYPE, 'content-length': text.length })
    res.write(text.slice(0, text.length >> 1), () => req.socket.destroy())
  },
  redirect: (req, res) => {
    res.writeHead(302, { location: `${req.url}/elsewhere` })
    pour(res)
  },
  huge: (_, res) => {
    res.writeHead(200, { ...JSON_TYPE, 'content-length': 64 * 1024 * 1024 })
    pour(res)
  },
  endless: (_, res) => {
    res.writeHead(200, JSON_TYPE)
    pour(res)
  },
  'not-json': (_, res) => {
    res.writeHead(200, { 'content-type': 'text/html' })
    res.end('<!doctype html><title>Maintenance</title>')
  },
  packed: (_, res, good) => {
    res.writeHead(200, { ...JSON_TYPE, 'content-encoding': 'gzip' })
    res.end(gzipSync(JSON.stringify(good().body)))
  },
}

function pour(res: ServerResponse): void {
  const more = () => {
    while (!res.destroyed && res.write(KIBIBYTE));
  }
  res.on('drain', more)
  more()
}
