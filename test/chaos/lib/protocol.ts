/** What the processes of the fault run say to each other. Every message is plain JSON over Node's IPC channel. */

/** How an upstream answers; all of it can be changed while it runs. */
export interface Behaviour {
  /** Time that each request takes, in milliseconds. */
  readonly latencyMs: number
  /** Requests worked on at a time; more wait in a queue without end. 0: no limit. */
  readonly workers: number
  /** What it answers with. */
  readonly status: number
  /** Resets every connection at its second request, unanswered: what a keep-alive connection that has gone stale does. */
  readonly stale: boolean
}

/** Start of an upstream process. */
export interface UpstreamSetup {
  readonly port: number
  /** Each execution is appended to it at once, so that not even SIGKILL loses one. */
  readonly logFile: string
  readonly behaviour: Behaviour
}

export type UpstreamOrder = { readonly behave: Behaviour } | { readonly ask: 'state' }

export interface UpstreamState {
  /** Open connections, idle ones among them. */
  readonly connections: number
  /** Requests that came and are not answered yet. */
  readonly pending: number
}

/** Start of a gateway process. */
export interface GatewaySetup {
  /** File name in `gateways/`, without `.ts`. */
  readonly file: string
  readonly port: number
  readonly upstreams: readonly string[]
  readonly setting: Setting
}

/**
 * What a row asks of a gateway's configuration: the one for all rows, a limit of what an upstream is sent at a time with a
 * short queue, or a limit that the gateway finds by itself.
 */
export type Setting = 'default' | 'limit' | 'adaptive'

/** A stretch of time at one rate. */
export interface Phase {
  readonly perSecond: number
  readonly ms: number
}

/** One order to the load generator. */
export interface LoadOrder {
  readonly port: number
  /** When the first request is due, in milliseconds of the wall clock. */
  readonly startAtMs: number
  readonly phases: readonly Phase[]
  /** Number of the first request; the others count on from it. */
  readonly firstNumber: number
  /** The client's patience with one try, counted from its sending, in milliseconds. */
  readonly timeoutMs: number
  /** How often the client asks again after a failure; 0: never. */
  readonly retries: number
  /** How long it waits before that, in milliseconds. */
  readonly retryPauseMs: number
}

export type Method = 'GET' | 'POST'

/** What became of one request of the load. */
export interface RequestRecord {
  readonly number: number
  readonly method: Method
  /** When it was due, when it was first sent, and when its fate was known; milliseconds of the wall clock. */
  readonly dueAtMs: number
  readonly sentAtMs: number
  readonly doneAtMs: number
  /** `ok`, a status such as `503`, `wrong body`, `cut`, `timeout`, or the code of a client-side error. */
  readonly outcome: string
  readonly retryAfter: boolean
  /** Times that the client sent it. */
  readonly tries: number
}
