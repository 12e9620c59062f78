import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  ConfigError,
  type Deadline,
  type Exchange,
  type ExchangeObserver,
  exchangeOf,
  faultsOf,
} from '@postern/contracts'
import * as v from 'valibot'
import { goesBy } from './message/header-names.ts'
import { MAX_TIMER_MS, whole } from './schema-parts.ts'

/** A limit to the whole exchange: waiting, all attempts and both bodies share it. */
export interface DeadlineOptions {
  /**
   * Longest time for an exchange, in milliseconds from its first stage, 1 to 2^31-1. @default none of its own: then only
   * what `header` says counts
   */
  readonly ms?: number
  /**
   * Name of a request header in which a caller says how much time it has left; the shorter of both counts, so that a
   * client can only lower its own limit. `grpc-timeout` is read as gRPC writes it (`500m`, `3S`); any other name as
   * milliseconds, or with one of those units. What cannot be read counts as not there. The upstream is told the time that is left
   * under the same name. @default none is read
   */
  readonly header?: string
  /** Whether the upstream is told the time that is left; `true` needs `header`. @default true with a `header` */
  readonly forward?: boolean
}

/** What {@link deadline} returns. */
export type DeadlineHandler = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

export interface ResolvedDeadline {
  /** 0: none. */
  readonly ms: number
  readonly header: string | undefined
  readonly forward: boolean
}

/** What `deadline` takes, here and as an option of the proxy. */
export const deadlineEntries = {
  ms: whole(1, MAX_TIMER_MS),
  header: v.optional(v.pipe(v.string('expected a header name'), v.regex(/^[A-Za-z0-9-]{1,64}$/, 'not a header name'))),
  forward: v.optional(v.boolean('expected true or false')),
}

const schema = v.strictObject(deadlineEntries)

export function resolveDeadline(options: DeadlineOptions): ResolvedDeadline {
  const header = options.header?.toLowerCase()
  return Object.freeze({ ms: options.ms ?? 0, header, forward: options.forward ?? header !== undefined })
}

/**
 * Sets a limit to each exchange that passes, for whatever comes behind it: queues, attempts and bodies end when it runs
 * out (504, or a cut where the answer has begun). A limit that is there already is only ever made shorter.
 *
 * ```ts
 * app.use('/payments', deadline({ ms: 5_000 }), balancer({ targets }), proxy())
 * ```
 *
 * @throws ConfigError when the options cannot be used, with all faults
 */
export function deadline(options: DeadlineOptions): DeadlineHandler {
  const parsed = v.safeParse(schema, options)
  if (!parsed.success) {
    throw new ConfigError(
      'deadline()',
      faultsOf(parsed.issues, () => Object.keys(deadlineEntries)),
    )
  }
  if (options.ms === undefined && options.header === undefined) {
    throw new ConfigError('deadline()', [
      { path: '', message: 'sets no limit', received: options, cure: 'give it ms, header, or both' },
    ])
  }
  const resolved = resolveDeadline(options)

  return function deadlineHandler(req, res, next) {
    limitExchange(exchangeOf(req, res), resolved)
    next()
  }
}

/** Puts the limit on the exchange, unless the one that is there is shorter. */
export function limitExchange(exchange: Exchange, options: ResolvedDeadline): void {
  const asked = options.header === undefined ? undefined : askedMs(exchange.request, options.header)
  let ms = options.ms === 0 ? Number.POSITIVE_INFINITY : options.ms
  if (asked !== undefined && asked < ms) ms = asked
  const known = exchange.deadline
  const header = options.forward ? options.header : undefined
  const atMs = Math.min(exchange.receivedAtMs + ms, known?.atMs ?? Number.POSITIVE_INFINITY)
  if (atMs === Number.POSITIVE_INFINITY) return
  const inherited = known instanceof ExchangeDeadline ? known.header : undefined
  // Nothing that is not known already: whoever holds its signal keeps the one that counts.
  if (known !== undefined && known.atMs <= atMs && (header === undefined || header === inherited)) return
  exchange.deadline = new ExchangeDeadline(exchange, atMs, header ?? inherited)
}

/** The deadline of one exchange. Its signal, and the timer behind it, are made when somebody asks for them. */
export class ExchangeDeadline implements Deadline, ExchangeObserver {
  readonly atMs: number
  /** Lower-case name of the header that tells the upstream what is left; undefined: it is not told. */
  readonly header: string | undefined
  readonly #exchange: Exchange
  #controller: AbortController | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(exchange: Exchange, atMs: number, header: string | undefined) {
    this.#exchange = exchange
    this.atMs = atMs
    this.header = header
  }

  remainingMs(): number {
    return Math.max(0, this.atMs - performance.now())
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      this.#timer = setTimeout(onTimer, Math.min(this.remainingMs(), MAX_TIMER_MS), this).unref()
      this.#exchange.observe(this)
    }
    return this.#controller.signal
  }

  onExchangeClosed(): void {
    clearTimeout(this.#timer)
    const { failure, response } = this.#exchange
    // An answer that went out whole needs nobody to stop any more.
    if (failure === undefined && response.writableFinished) return
    if (failure?.type === 'deadline_exceeded') this.expire()
    else this.#controller?.abort(new DOMException('the exchange is over', 'AbortError'))
  }

  /** @internal */
  expire(): void {
    this.#controller?.abort(new DOMException('the deadline of the exchange ran out', 'TimeoutError'))
  }
}

/** The headers of one attempt: with the time that is left, where the upstream is to know it. */
export function withTimeLeft(headers: string[], exchange: Exchange): string[] {
  const { deadline } = exchange
  if (!(deadline instanceof ExchangeDeadline) || deadline.header === undefined) return headers
  const { header } = deadline
  const own: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!goesBy(headers[i]!, header)) own.push(headers[i]!, headers[i + 1]!)
  }
  own.push(header, writeTimeout(deadline.remainingMs(), header))
  return own
}

function onTimer(deadline: ExchangeDeadline): void {
  deadline.expire()
}

/** What a caller says it has left, in milliseconds; undefined when it says nothing that can be read. */
function askedMs(req: IncomingMessage, header: string): number | undefined {
  const value = req.headers[header]
  return typeof value === 'string' ? parseTimeout(value, header === 'grpc-timeout' ? undefined : 1) : undefined
}

/** Milliseconds of a unit of gRPC's. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }

/**
 * A time as gRPC writes it: up to eight digits and a unit.
 *
 * @param bareMs what a number without a unit counts, in milliseconds; undefined: it is not read
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
 */
export function parseTimeout(text: string, bareMs?: number): number | undefined {
  const match = /^(\d{1,8})([HMSmun]?)$/.exec(text)
  if (match === null) return undefined
  const unit = match[2] === '' ? bareMs : UNITS[match[2]!]
  return unit === undefined ? undefined : Number(match[1]) * unit
}

/** The time that is left, as the header wants it written; never more than eight digits. */
export function writeTimeout(remainingMs: number, header: string): string {
  const ms = Math.floor(remainingMs)
  if (header !== 'grpc-timeout') return String(ms)
  return ms <= 99_999_999 ? `${ms}m` : `${Math.floor(ms / 1_000)}S`
}
