import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { inspect } from 'node:util'
import { exchangeFinished } from './channels.ts'
import type { Failure } from './failure.ts'
import type { Fallback } from './fallback.ts'
import type { GatewayError } from './gateway-error.ts'
import { warnOnce } from './log.ts'
import { OutgoingEdits } from './outgoing.ts'
import type { Selection } from './selection.ts'
import type { Target } from './target.ts'

/** The route that the router chose. */
export interface MatchedRoute {
  /** The route's own name, or one made from its pattern; safe as a metric label. */
  readonly id: string
  /** The pattern as it was configured. */
  readonly pattern: string
  /** Decoded path parameters; an object without a prototype. */
  readonly params: Readonly<Record<string, string | string[]>>
}

/** Who is calling, as verified by an authentication stage. */
export interface Identity {
  readonly scheme: string
  readonly subject: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

/** How much time the exchange has left, shared by queue, attempts and body. */
export interface Deadline {
  /** When it runs out, in the monotonic milliseconds of {@link Exchange.receivedAtMs}. */
  readonly atMs: number
  /** Aborted when it runs out or when the client leaves. */
  readonly signal: AbortSignal
  remainingMs(): number
}

/** Why a cache sent a request on, in the words of RFC 9211 §2.2. */
export type CacheForwardReason =
  | 'bypass'
  | 'method'
  | 'uri-miss'
  | 'vary-miss'
  | 'miss'
  | 'request'
  | 'stale'
  | 'partial'

/** What a cache did with an exchange, in the words of RFC 9211; the client reads the same in `Cache-Status`. */
export interface CacheVerdict {
  /** The answer came from the store, and nobody was asked for it. */
  readonly hit: boolean
  /** Why the request was sent on; undefined for a hit. */
  readonly fwd: CacheForwardReason | undefined
  /** Status of the answer that came then; undefined while there is none. */
  readonly fwdStatus: number | undefined
  /** How much longer the answer is fresh, in seconds; negative when it is stale already, undefined when that is not known. */
  readonly ttlS: number | undefined
  /** The answer was stored. */
  readonly stored: boolean
  /** The request waited for another one like it, and shares its answer. */
  readonly collapsed: boolean
  /** What the other members do not say: `no-store`, `stale-if-error`. */
  readonly detail: string | undefined
}

/**
 * Why an attempt was made: `first` for the request itself; `stale` again, since the pooled connection was closed just as
 * it was used; `retry` since the one before failed; `hedge` beside one that is taking long.
 */
export type AttemptKind = 'first' | 'stale' | 'retry' | 'hedge'

/** One try at one target. Written by the proxy while it goes on; all times in milliseconds. */
export interface Attempt {
  readonly target: Target
  readonly kind: AttemptKind
  /** Start, in the monotonic milliseconds of {@link Exchange.receivedAtMs}. */
  readonly startedAtMs: number
  /** Waited for a place among the target's connections. */
  queueMs: number
  /** Waited for a new connection (TCP and TLS); 0 on a reused one. */
  connectMs: number
  /** From the start of the attempt to the response's head; undefined while there is none. */
  headersMs: number | undefined
  /** From the start of the attempt to its end; undefined while it goes on. */
  totalMs: number | undefined
  /** Status of the final response; undefined while there is none. */
  status: number | undefined
  /** True when the request went out on a connection that had served another before. */
  reused: boolean
  failure: Failure | undefined
}

/** Told once when the exchange is over: the answer was sent whole, or the connection is gone. Must not throw. */
export interface ExchangeObserver {
  onExchangeClosed(exchange: Exchange): void
}

/** The raw connection of a request that asks to leave HTTP (`Upgrade`), as `attachUpgrades()` found it. */
export interface UpgradeRequest {
  /** The token of the Upgrade header, lower case: `websocket`. */
  readonly protocol: string
  readonly socket: Duplex
  /** Hands the connection over; returns the bytes that came behind the request's head. Once. */
  take(): Buffer
}

/**
 * The life of one request, `req.gateway`: one object that every stage reads, and each field of which one package
 * writes. One class with every field set in the constructor, so that all exchanges share one hidden class.
 */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Monotonic milliseconds (`performance.now()`) when the first stage saw the request. */
  readonly receivedAtMs: number
  /** Written by the router. */
  route: MatchedRoute | undefined = undefined
  /** Written by an authentication stage. */
  identity: Identity | undefined = undefined
  /** Written by the cache; undefined where none is mounted, or it has not decided yet. */
  cache: CacheVerdict | undefined = undefined
  /** Written by the balancer; narrowed by a circuit breaker and others. */
  selection: Selection | undefined = undefined
  /** Edits that the proxy applies to the upstream request and to the answer. */
  readonly outgoing: OutgoingEdits
  /** Written by the proxy, one a try. */
  readonly attempts: Attempt[]
  /** Written by whoever sets a limit to the whole exchange; everyone who waits asks it. */
  deadline: Deadline | undefined = undefined
  /** Answers in place of an error of the gateway's own; see {@link offerFallback}. */
  fallback: Fallback | undefined = undefined
  /** The failure that ended the exchange; undefined while all is well. */
  failure: Failure | undefined = undefined
  /**
   * The error of the gateway's own that ended the exchange, also where a fallback or the app's error handler answers in its
   * place; written by {@link failExchange}. Its message is for the operator alone.
   */
  error: GatewayError | undefined = undefined
  /** Set by `attachUpgrades()`; taken (set to undefined) by the proxy that opens the tunnel. */
  upgrade: UpgradeRequest | undefined = undefined
  /** Bytes of the client's body that were forwarded, framing not counted. */
  requestBodyBytes = 0
  /** Bytes of the answer's body, framing not counted; in a tunnel, the bytes towards the client. */
  responseBodyBytes = 0
  /** True when no client asked: a cache is revalidating what it has stored. Stages that count or limit clients leave it out. */
  background = false
  /** True once the connection or the answer is over. */
  closed = false
  #id: string | undefined = undefined
  #observer: ExchangeObserver | undefined = undefined
  #observers: ExchangeObserver[] | undefined = undefined
  #listening = false
  /** The exchange that this one was forked from. */
  readonly #whole: Exchange | undefined
  /** Who forked it. */
  readonly #by: object | undefined

  /**
   * @param whole the exchange to fork; see {@link fork}
   * @param by whoever forks it
   */
  constructor(request: IncomingMessage, response: ServerResponse, whole?: Exchange, by?: object) {
    this.request = request
    this.response = response
    this.#whole = whole
    this.#by = by
    if (whole === undefined) {
      this.receivedAtMs = performance.now()
      this.outgoing = new OutgoingEdits()
      this.attempts = []
      if (exchangeFinished.hasSubscribers) this.#listen()
    } else {
      this.receivedAtMs = whole.receivedAtMs
      this.outgoing = whole.outgoing
      this.attempts = whole.attempts
      this.route = whole.route
      this.identity = whole.identity
      this.selection = whole.selection
      this.deadline = whole.deadline
      this.fallback = whole.fallback
      this.background = whole.background
    }
  }

  /**
   * An exchange for what is behind a stage that may go on when the client has left, or has it answered before: a cache
   * that fetches for several clients at once. It knows all that this one knows, shares its edits and its attempts, and
   * ends when that stage calls {@link close}; the response's `close` does not end it, and it is not published.
   *
   * The stage puts it on the request (`req.gateway`), and tells this one with {@link join} what became of it.
   *
   * @param by the stage, or what it shares with others of its kind; see {@link isForkedBy}
   */
  fork(by: object): Exchange {
    return new Exchange(this.request, this.response, this, by)
  }

  /** True when this exchange, or the one that it is a fork of, was forked by that stage: it has seen the request before. */
  isForkedBy(stage: object): boolean {
    return this.#by === stage || (this.#whole?.isForkedBy(stage) ?? false)
  }

  /** Takes over what the stages behind a fork have found out, for the log and all others who watch this exchange. */
  join(fork: Exchange): void {
    this.route ??= fork.route
    this.identity ??= fork.identity
    this.selection ??= fork.selection
    this.failure ??= fork.failure
    this.error ??= fork.error
    this.requestBodyBytes = fork.requestBodyBytes
  }

  /**
   * Names this request in logs, problem answers and towards the upstream: the client's `X-Request-Id` when it has 1 to
   * 128 characters out of `A-Z a-z 0-9 . _ ~ : @ + / = -`, else a random UUID.
   */
  get id(): string {
    this.#id ??= this.#whole?.id ?? acceptedId(this.request) ?? randomUUID()
    return this.#id
  }

  /** Gives the exchange another id; for stages that name requests by their own rule. Made of the same characters. */
  set id(id: string) {
    if (!ACCEPTED_ID.test(id)) throw new TypeError(`Exchange.id: ${JSON.stringify(id)} does not match ${ACCEPTED_ID}`)
    this.#id = id
  }

  /**
   * Calls the observer once when the exchange is over; at once when it is over already. The last to come is told first:
   * stages that were mounted before, such as a logger, then see what the stages behind them have noted. All observers of
   * an exchange share one `close` listener on the response.
   */
  observe(observer: ExchangeObserver): void {
    if (this.closed) {
      this.#tell(observer)
      return
    }
    if (this.#observer === undefined) this.#observer = observer
    else if (this.#observers === undefined) this.#observers = [observer]
    else this.#observers.push(observer)
    this.#listen()
  }

  /**
   * Ends the exchange by hand, for whoever took the connection away from the response (a tunnel): the response will
   * never emit `close`. Otherwise called by the response's `close`.
   */
  close(): void {
    if (this.closed) return
    this.closed = true
    const others = this.#observers
    if (others !== undefined) for (let i = others.length - 1; i >= 0; i--) this.#tell(others[i]!)
    if (this.#observer !== undefined) this.#tell(this.#observer)
    if (this.#whole === undefined && exchangeFinished.hasSubscribers) exchangeFinished.publish(this)
  }

  /** One observer that throws must neither keep the news from the others nor end the process. */
  #tell(observer: ExchangeObserver): void {
    try {
      observer.onExchangeClosed(this)
    } catch (error) {
      warnOnce('POSTERN_OBSERVER_THREW', `an exchange observer threw, which it never should: ${inspect(error)}`)
    }
  }

  #listen(): void {
    if (this.#listening || this.#whole !== undefined) return
    this.#listening = true
    if (this.response.closed || this.response.destroyed) process.nextTick(() => this.close())
    else this.response.once('close', () => this.close())
  }
}

/**
 * The exchange of a request; made on first use, by whichever stage comes first.
 *
 * @param res the response that belongs to `req`
 */
export function exchangeOf(req: IncomingMessage, res: ServerResponse): Exchange {
  const known = req.gateway
  if (known !== undefined) return known
  const exchange = new Exchange(req, res)
  req.gateway = exchange
  return exchange
}

const ACCEPTED_ID = /^[A-Za-z0-9._~:@+/=-]{1,128}$/

function acceptedId(req: IncomingMessage): string | undefined {
  // The raw list: building `req.headers` only for this would cost more than the whole search.
  const raw = req.rawHeaders
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    if (name.length === 12 && name.toLowerCase() === 'x-request-id') {
      const value = raw[i + 1]!
      return ACCEPTED_ID.test(value) ? value : undefined
    }
  }
  return undefined
}

declare module 'http' {
  interface IncomingMessage {
    /** The exchange of this request; see `@postern/contracts`. */
    gateway?: Exchange
  }
}
