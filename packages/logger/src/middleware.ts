import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Client, clientOf, type Exchange, exchangeOf, type Logger, systemClock } from '@postern/contracts'
import type { Logger as WinstonLogger } from 'winston'
import type { EntrySettings, RequestState } from './entry.ts'
import { combinedLine } from './formats/combined.ts'
import { jsonLine } from './formats/json.ts'
import { isoTime } from './formats/time.ts'
import { type LoggerOptions, type ResolvedLoggerOptions, resolveOptions } from './options.ts'
import { foreignOutput } from './output/foreign.ts'
import type { Output } from './output/output.ts'
import { type OwnOutput, ownOutput } from './output/own.ts'
import { type LoggerStats, Stats } from './output/stats.ts'
import { createRedactor } from './redact/redactor.ts'
import { settleRequestId } from './request-id.ts'
import { RequestObserver } from './request-observer.ts'
import { newTraceparent, traceIdOf } from './trace-context.ts'
import { messageOf, warn } from './warnings.ts'

/** What `logger()` returns: an Express handler, and what belongs to it. */
export interface LoggerHandler {
  /** Notes the request and goes on at once; its line is written when the exchange is over. `next` is absent in a bare server. */
  (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void
  /** For the app's own lines, into the same output. Never throws. */
  readonly log: Logger
  /** Live counters. */
  readonly stats: LoggerStats
  /** The winston logger that the lines go through, for further transports and another level; undefined with `logger`. */
  readonly winston: WinstonLogger | undefined
  /** Resolves when the fate of all lines so far is known, after two seconds at the latest. Never rejects. */
  flush(): Promise<void>
  /** Flushes and lets go of the output, which stays open. Later lines are lost. */
  close(): Promise<void>
}

const NO_CLIENT: Client = Object.freeze({ address: '', protocol: 'http', host: '' })

/**
 * Logs one structured line a request, with the facts of its exchange, when it is over: answered, broken off, or at the
 * end of its tunnel. Mount it before everything else.
 *
 * Nothing in it can break a request: what the app's functions throw is contained, and an output that fails or stalls
 * costs lines, which are counted.
 *
 * @throws ConfigError when the options cannot be used
 */
export function logger(options?: LoggerOptions): LoggerHandler {
  const resolved = resolveOptions(options)
  const { clock } = resolved
  const stats = new Stats()
  const settings: EntrySettings = {
    name: resolved.name,
    redactor: createRedactor(resolved.redact),
    headers: resolved.headers,
  }
  const timeOf = isoTime()
  const output = outputFor(resolved, settings, stats, timeOf)
  /** Where a request keeps what this logger noted; on the request, since a table beside it would cost more. */
  const mark = Symbol('postern.logger')
  type Marked = IncomingMessage & { [mark]?: RequestState }
  const observer = new RequestObserver({
    options: resolved,
    settings,
    output,
    stats,
    isoTime: timeOf,
    stateOf: (exchange) => (exchange.request as Marked)[mark],
  })

  function loggerHandler(req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void {
    try {
      const marked = req as Marked
      if (marked[mark] === undefined) {
        const exchange = exchangeOf(req, res)
        marked[mark] = {
          client: knownClient(req),
          // The first stage that saw the request has set its start, on the process's own clock.
          startedAtMs: clock === systemClock ? exchange.receivedAtMs : clock.now(),
          isUpgrade: exchange.upgrade !== undefined,
          traceId: settleTrace(exchange, resolved.generateTraceparent),
        }
        settleRequestId(exchange, resolved.trustRequestId, resolved.requestIdHeader)
        exchange.observe(observer)
      } else warn('POSTERN_LOGGER_MOUNTED_TWICE')
    } catch (thrown) {
      stats.lost++
      warn('POSTERN_LOGGER_INTERNAL', messageOf(thrown))
    }
    next?.()
  }

  return Object.defineProperties(loggerHandler, {
    log: { value: output.log, enumerable: true },
    stats: { value: stats, enumerable: true },
    winston: { value: (output as Partial<OwnOutput>).winston, enumerable: true },
    flush: { value: () => output.flush(), enumerable: true },
    close: { value: () => output.close(), enumerable: true },
  }) as unknown as LoggerHandler
}

function outputFor(
  options: ResolvedLoggerOptions,
  settings: EntrySettings,
  stats: Stats,
  timeOf: (wallMs: number) => string,
): Output | OwnOutput {
  const isCombined = options.format === 'combined'
  if (options.logger !== undefined) {
    return foreignOutput(options.logger, { lineOf: isCombined ? combinedLine : undefined, stats })
  }
  return ownOutput({
    stream: options.stream ?? process.stdout,
    flushIntervalMs: options.flushIntervalMs,
    maxBufferBytes: options.maxBufferBytes,
    stats,
    name: options.name,
    minLevel: options.minLevel,
    lineOf: isCombined ? combinedLine : jsonLine,
    isoTime: timeOf,
    clock: options.clock,
    redactor: settings.redactor,
  })
}

/** Asked when the request comes: a socket that is gone has no address any more. */
function knownClient(req: IncomingMessage): Client {
  try {
    return clientOf(req)
  } catch (thrown) {
    // `trust proxy` may be a function of the app's.
    warn('POSTERN_LOGGER_INTERNAL', messageOf(thrown), 'client')
    return NO_CLIENT
  }
}

/** The request's trace id. A malformed `traceparent` goes no further, nor does the state that belongs to it. */
function settleTrace(exchange: Exchange, isGenerated: boolean): string | undefined {
  const { outgoing } = exchange
  const sent = exchange.request.headers.traceparent
  if (typeof sent === 'string') {
    const traceId = traceIdOf(sent)
    if (traceId !== undefined) return traceId
    if (!isGenerated) outgoing.editRequestHeader({ op: 'remove', name: 'traceparent' })
  }
  if (typeof sent === 'string' || isGenerated) outgoing.editRequestHeader({ op: 'remove', name: 'tracestate' })
  if (!isGenerated) return undefined
  const made = newTraceparent()
  outgoing.editRequestHeader({ op: 'set', name: 'traceparent', value: made })
  return traceIdOf(made)
}
