/** What the benchmark's processes say to each other. Every message is plain JSON over Node's IPC channel. */

/** Start of an upstream process. */
export interface UpstreamSetup {
  /** Size of every answer's body, in bytes. */
  readonly bodyBytes: number
  /**
   * Number of addresses to listen on. Up to three share 127.0.0.1 and differ by port; more than that are addresses of
   * their own (127.0.1.1, 127.0.1.2, …), so that each is a target of its own with its own connections.
   */
  readonly addresses: number
}

export interface UpstreamReady {
  readonly urls: readonly string[]
}

/** Start of a gateway process. */
export interface GatewaySetup {
  /** File name in `gateways/`, without `.ts`. */
  readonly file: string
  readonly context: GatewayContext
}

/** What a gateway file gets to build its server. */
export interface GatewayContext {
  readonly upstreams: readonly string[]
  /** Parameters of the scenario: number of routes, of targets, strategy. */
  readonly params: Readonly<Record<string, string | number>>
}

export interface GatewayReady {
  readonly port: number
}

/** One order to the load generator. */
export interface LoadOrder {
  readonly port: number
  readonly host: string
  /** Paths to ask for, in turn. */
  readonly paths: readonly string[]
  readonly connections: number
  readonly bodyBytes: number
  /** The status that every answer must have; bodies are compared for 200 alone. */
  readonly status: number
  readonly warmupMs: number
  /** The warm-up goes on until so many requests were answered, on a slow machine too. */
  readonly warmupRequests: number
  readonly measureMs: number
  /** Process whose CPU time is read at both ends of the window; absent: none is read. */
  readonly pid?: number
}

export interface LoadResult {
  /** Requests that were answered in all, warm-up included. */
  readonly answered: number
  /** Those of the measured window. */
  readonly completed: number
  readonly elapsedMs: number
  /** User and system time that `pid` took in the window, in microseconds; `undefined` when no pid was given. */
  readonly cpuMicros?: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly errors: number
  readonly firstError?: string
}

/** One order to the process that measures choices. */
export interface ChoiceOrder {
  readonly strategy: string
  readonly targets: number
}

export interface ChoiceResult {
  /** CPU of one lease and its settlement, in nanoseconds. */
  readonly nanos: number
}
