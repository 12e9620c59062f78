import type { Writable } from 'node:stream'
import type { Clock, Exchange, Logger } from '@postern/contracts'
import { ConfigError, faultsOf, systemClock } from '@postern/contracts'
import * as v from 'valibot'
import type { LogLevel } from './level.ts'
import type { WinstonLike } from './output/adapters.ts'
import type { RedactOptions } from './redact/redactor.ts'
import { knownKeys, optionsSchema } from './schema.ts'

/** `json`: one JSON object a line. `combined`: Apache's combined log format. */
export type LogFormat = 'json' | 'combined'

/** Whose `X-Request-Id` is believed: everybody's, nobody's, or that of peers which Express's `trust proxy` covers. */
export type RequestIdTrust = boolean | 'trusted-peers'

/** Options of `logger()`. All functions must answer at once; what they throw is contained. */
export interface LoggerOptions {
  /** Put into every JSON line as `name`; tells several loggers of a process apart. 1 to 100 characters. */
  readonly name?: string
  /** @default 'json' */
  readonly format?: LogFormat
  /**
   * The app's own logger, to write to in place of stdout: a winston logger (or a child), or whatever takes
   * `info(fields, message)` at `debug`, `info`, `warn` and `error`, as pino does. With `combined`, the line is the message.
   */
  readonly logger?: WinstonLike | Logger
  /** A stream to write lines to in place of stdout. Never ended by us. Not together with `logger`. */
  readonly stream?: Writable
  /** Least grave level that is written. The app's own `logger` has its own. @default 'info' */
  readonly minLevel?: LogLevel
  /**
   * The level of a request's line; `false`: no line.
   * @default 5xx and answers cut by the upstream or gateway: `error`; 4xx: `warn`; else `info`
   */
  readonly levels?: (status: number, exchange: Exchange) => LogLevel | false
  /** Share of the requests that are logged, 0 to 1, or a function which says whether this one is. @default 1 */
  readonly sample?: number | ((exchange: Exchange) => boolean)
  /** Let `sample` leave out 5xx and failures too, which are otherwise always logged. @default false */
  readonly sampleErrors?: boolean
  /** True: no line for this exchange, whatever became of it; for health checks. Asked when it is over. */
  readonly skip?: (exchange: Exchange) => boolean
  /** More fields for the line of an exchange that is over. They cannot replace ours. For `json` only. */
  readonly fields?: (exchange: Exchange) => object | undefined
  /** Names of request and response headers to log; secrets among them are redacted all the same. @default [] */
  readonly headers?: readonly string[]
  /** More names and places of secrets, beyond those that are always redacted. */
  readonly redact?: RedactOptions
  /** Header that tells the client its request's id; `false`: not told. @default 'X-Request-Id' */
  readonly requestIdHeader?: string | false
  /**
   * Whose `X-Request-Id` is taken over. Ids are checked in any case (1 to 128 harmless characters); but who may choose
   * them can make two requests look like one. Use `'trusted-peers'` where strangers call. @default true
   */
  readonly trustRequestId?: RequestIdTrust
  /** Begin a trace (W3C Trace Context) for requests that come without a valid `traceparent`. @default false */
  readonly generateTraceparent?: boolean
  /** Longest time that a line waits to be written with others, in milliseconds, 0 to 10,000. @default 10 */
  readonly flushIntervalMs?: number
  /** Bytes of lines that may wait for a slow output, 1,024 to 2^30; more are dropped and counted. @default 4_194_304 */
  readonly maxBufferBytes?: number
  /** @default the process's clocks */
  readonly clock?: Clock
  /** Source of chance for `sample`, 0 (included) to 1 (excluded). @default Math.random */
  readonly random?: () => number
}

/** Options with every default filled in. */
export interface ResolvedLoggerOptions {
  readonly name: string | undefined
  readonly format: LogFormat
  readonly logger: WinstonLike | Logger | undefined
  readonly stream: Writable | undefined
  readonly minLevel: LogLevel
  readonly levels: ((status: number, exchange: Exchange) => LogLevel | false) | undefined
  readonly sample: number | ((exchange: Exchange) => boolean)
  readonly sampleErrors: boolean
  readonly skip: ((exchange: Exchange) => boolean) | undefined
  readonly fields: ((exchange: Exchange) => object | undefined) | undefined
  /** Lower case, each once. */
  readonly headers: readonly string[]
  readonly redact: RedactOptions
  readonly requestIdHeader: string | false
  readonly trustRequestId: RequestIdTrust
  readonly generateTraceparent: boolean
  readonly flushIntervalMs: number
  readonly maxBufferBytes: number
  readonly clock: Clock
  readonly random: () => number
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveOptions(input: LoggerOptions = {}): ResolvedLoggerOptions {
  const result = v.safeParse(optionsSchema, input)
  const faults = result.success ? [] : faultsOf(result.issues, knownKeys)
  if (input?.logger !== undefined && input.stream !== undefined) {
    faults.push({ path: 'stream', message: 'given together with logger', cure: 'leave one of them out' })
  }
  if (faults.length > 0) throw new ConfigError('logger()', faults)
  return Object.freeze({
    name: input.name,
    format: input.format ?? 'json',
    logger: input.logger,
    stream: input.stream,
    minLevel: input.minLevel ?? 'info',
    levels: input.levels,
    sample: input.sample ?? 1,
    sampleErrors: input.sampleErrors ?? false,
    skip: input.skip,
    fields: input.fields,
    headers: Object.freeze([...new Set((input.headers ?? []).map((name) => name.toLowerCase()))]),
    redact: Object.freeze({ ...input.redact }),
    requestIdHeader: input.requestIdHeader ?? 'X-Request-Id',
    trustRequestId: input.trustRequestId ?? true,
    generateTraceparent: input.generateTraceparent ?? false,
    flushIntervalMs: input.flushIntervalMs ?? 10,
    maxBufferBytes: input.maxBufferBytes ?? 4_194_304,
    clock: input.clock ?? systemClock,
    random: input.random ?? Math.random,
  })
}
