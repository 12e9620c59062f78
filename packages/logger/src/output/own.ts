import type { Clock, Logger } from '@postern/contracts'
import winston from 'winston'
import type { LogEntry } from '../entry.ts'
import { appLine } from '../formats/app-line.ts'
import { isLogLevel, LEVEL_RANK, type LogLevel } from '../level.ts'
import type { Redactor } from '../redact/redactor.ts'
import { visible } from '../text.ts'
import { messageOf, warn } from '../warnings.ts'
import { BatchWriter, type BatchWriterOptions } from './batch-writer.ts'
import type { Output } from './output.ts'

/** Where winston keeps the level of an entry and its finished line. */
const LEVEL = Symbol.for('level')
const MESSAGE = Symbol.for('message')

interface Info {
  level: string
  message: string
  [LEVEL]: string
  [MESSAGE]?: string
}

/** winston's base class of transports; its types know it under another name. */
const { Transport } = winston as unknown as { Transport: new () => winston.transport }

export interface OwnOutputOptions extends BatchWriterOptions {
  readonly name: string | undefined
  readonly minLevel: LogLevel
  readonly lineOf: (entry: LogEntry) => string
  readonly isoTime: (wallMs: number) => string
  readonly clock: Clock
  readonly redactor: Redactor
}

/** The output that a logger makes for itself, and the winston logger in it. */
export interface OwnOutput extends Output {
  readonly winston: winston.Logger
}

/**
 * A winston logger of our own. Lines are finished before they enter it, so that its format has nothing to do; its one
 * transport collects them into batches. Further transports and another level can be set on it while it runs.
 */
export function ownOutput(options: OwnOutputOptions): OwnOutput {
  const { name, lineOf, isoTime, clock, redactor, stats } = options
  const writer = new BatchWriter(options)

  class BatchTransport extends Transport {
    override log(info: Info, next: () => void): void {
      writer.write(info[MESSAGE] ?? '')
      next()
    }
  }

  const finished = winston.format((info) => {
    const own = info as unknown as Info
    if (own[MESSAGE] === undefined) {
      const { level, message, ...fields } = info
      own[MESSAGE] = appLine(isoTime(clock.wallNow()), level, name, fields, messageOf(message), redactor)
    }
    return info
  })
  const inner = winston.createLogger({
    level: options.minLevel,
    format: finished(),
    transports: [new BatchTransport()],
  })
  // Transports that the app adds may fail; that is no reason to end the process.
  inner.on('error', (error: unknown) => {
    stats.lost++
    warn('POSTERN_LOGGER_OUTPUT_FAILED', messageOf(error))
  })

  function enabled(level: LogLevel): boolean {
    // With further transports winston decides: each may have its own level.
    if (inner.transports.length !== 1 || !isLogLevel(inner.level)) return inner.isLevelEnabled(level)
    return LEVEL_RANK[level] <= LEVEL_RANK[inner.level]
  }

  function give(level: LogLevel, message: string, line: string): void {
    const info: Info = { level, message, [LEVEL]: level, [MESSAGE]: line }
    try {
      inner.write(info)
    } catch (thrown) {
      stats.lost++
      warn('POSTERN_LOGGER_OUTPUT_FAILED', messageOf(thrown))
    }
  }

  function logAt(level: LogLevel): Logger['info'] {
    return (fields, message) => {
      if (!enabled(level)) return
      give(level, message ?? '', appLine(isoTime(clock.wallNow()), level, name, fields, message, redactor))
    }
  }

  return {
    winston: inner,
    enabled,
    write(entry) {
      // Our own transport takes the line; only others may print the message.
      const message = inner.transports.length === 1 ? entry.message : visible(entry.message)
      give(entry.level, message, lineOf(entry))
    },
    log: { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') },
    flush: () => writer.flush(),
    close: () => writer.close(),
  }
}
