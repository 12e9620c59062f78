import type { CredentialKind } from './auth-credentials.ts'
import type { ProgramName } from './programs.ts'
import type { Moments } from './stats.ts'

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
  /** `Cache-Control` of every answer. @default `public, max-age=60` */
  readonly cacheControl?: string
}

export interface UpstreamReady {
  readonly urls: readonly string[]
}

/** What an upstream has answered so far; it says so when asked by any message. */
export interface UpstreamCounts {
  readonly requests: number
  /** Those of them that were answered 304. */
  readonly notModified: number
}

/** The upstream of the memory checks. */
export interface MemoryUpstreamState {
  readonly connections: number
  /** Answered or not, since the start. */
  readonly requests: number
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
  /** Parameters of the scenario: number of routes, of targets, strategy, what credentials are checked with. */
  readonly params: Readonly<Record<string, string | number>>
}

/** Start of a program that is not Node's. */
export interface ProgramSetup {
  readonly program: ProgramName
  /** Empty, for whatever the program reads and writes. */
  readonly folder: string
  readonly context: GatewayContext
}

export interface GatewayReady {
  readonly port: number
  /** The processes whose CPU time and memory count. @default the process itself */
  readonly pids?: readonly number[]
}

/** One order to the load generator: to ask twice and compare the answers, to measure, or to run one slice of load, of `measureMs`. */
export interface LoadOrder {
  readonly phase: 'verify' | 'measure' | 'slice'
  readonly port: number
  readonly host: string
  /** Paths to ask for, in turn. */
  readonly paths: readonly string[]
  /** Puts a number behind the path that no other request has, so that every request is for another resource. */
  readonly numbered: boolean
  /** Sent with every request, beside the usual ones. */
  readonly headers: Readonly<Record<string, string>>
  /** Requests without `headers`, and with wrong values of them, must be answered 401. */
  readonly guarded: boolean
  readonly connections: number
  readonly bodyBytes: number
  /** The status that every answer must have; bodies are compared for 200 alone. */
  readonly status: number
  readonly warmupMs: number
  /** The warm-up goes on until so many requests were answered, on a slow machine too. */
  readonly warmupRequests: number
  readonly measureMs: number
  /** Processes whose CPU time is read at both ends of the window; empty: none is read. */
  readonly pids: readonly number[]
}

export interface VerifyResult {
  /** Number of resources that were asked for, each twice. */
  readonly resources: number
  /** Lower-case names of the header fields of the last answer, in alphabetical order. */
  readonly fields: readonly string[]
}

export interface LoadResult {
  /** Requests that were answered in all, warm-up included. */
  readonly answered: number
  /** Those of the measured window. */
  readonly completed: number
  readonly elapsedMs: number
  /** User and system time that `pids` took in the window, in microseconds; `undefined` when there are none. */
  readonly cpuMicros?: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly errors: number
  readonly firstError?: string
}

export interface SliceResult {
  /** Requests that were answered; none is left that was not. */
  readonly completed: number
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

/** One order to the process that fills a cache's store. */
export type StoreOrder =
  | {
      readonly ask: 'fill'
      readonly objects: number
      /** Share of them that the store has room for; 1: with a little to spare. */
      readonly share: number
    }
  | { readonly ask: 'lookup'; readonly entries: number }

export interface FillResult {
  readonly maxBytes: number
  /** By the store's own account. */
  readonly storedBytes: number
  readonly responses: number
  readonly evictions: number
  /** Growth of resident memory, measured after a forced collection. */
  readonly growthBytes: number
  /** The same at its highest. */
  readonly peakGrowthBytes: number
  /** Longest time from one turn of the event loop to the next, and how long a collection of garbage took at most. */
  readonly longestTurnMs: number
  readonly longestCollectionMs: number
  readonly nanosPerPut: number
}

export interface LookupResult {
  /** CPU of one lookup, in nanoseconds. */
  readonly nanos: number
  /** The same in a plain `Map` with as many keys. */
  readonly mapNanos: number
}

/** One order to the process that runs `authenticate()` without any I/O. */
export interface AloneOrder {
  /** `none`: a handler that does not ask who is calling. */
  readonly credentials: CredentialKind | 'none'
  /** Of `jwt()`; 0: each request is verified anew. @default its own */
  readonly rememberBytes?: number
}

export interface AloneResult {
  /** CPU of one request, in nanoseconds. */
  readonly nanos: number
}

/**
 * What stands before the proxy at one of several mounts: `layer` is a handler that does nothing, `jwt-first` remembers nothing,
 * and the `-hashed` ones are found by a function, so that no connection remembers what it showed last.
 */
export type AddedStage = 'nothing' | 'layer' | CredentialKind | `${CredentialKind}-hashed` | 'jwt-first'

/** Start of the process that has several mounts. */
export interface AddedSetup {
  readonly upstream: string
  /** At most ten: a digit chooses among them. */
  readonly stages: readonly AddedStage[]
  /** What tokens and keys are checked with. */
  readonly jwt: GatewayContext['params']
  readonly apiKey: GatewayContext['params']
}

/** User and system time of a process so far, all its threads. */
export interface CpuTime {
  readonly cpuMicros: number
}

/** One order to the process that shows many tokens to one `jwt()`. */
export interface TokensOrder {
  readonly tokens: number
  /** What the tokens say: a few plain claims, or many nested ones, which take more memory for each byte of a token. */
  readonly shape: TokenShape
}

export type TokenShape = 'plain' | 'nested'

export interface TokensResult {
  /** Length of a token. */
  readonly tokenBytes: number
  /** Tokens that are remembered in the end, by the strategy's own account. */
  readonly remembered: number
  /** Of so many that came last, and as many that came first: how many are known. */
  readonly sample: number
  readonly knownOfLast: number
  readonly knownOfFirst: number
  /** Growth of resident memory, without what V8 keeps for objects to come; of the heap and what it holds; and the first at its highest, with all that. */
  readonly growthBytes: number
  readonly heapGrowthBytes: number
  readonly peakGrowthBytes: number
  /** Longest time from one turn of the event loop to the next, and how long a collection of garbage took at most. */
  readonly longestTurnMs: number
  readonly longestCollectionMs: number
}

/** What the timing of refusals is measured of; `leaky` is an API key's with a comparison that stops at the first difference. */
export type TimingSubject = 'api-key' | 'leaky' | 'basic'

/** One order to the process that times refusals. */
export interface TimingOrder {
  readonly subject: TimingSubject
}

export interface TimingResult {
  /** Several sets of guesses of the same kind: what they differ by is noise. */
  readonly references: readonly Moments[]
  /** Of each other kind of guess; in nanoseconds. */
  readonly kinds: Readonly<Record<string, Moments>>
}
