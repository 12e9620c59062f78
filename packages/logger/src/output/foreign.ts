import type { Logger } from '@postern/contracts'
import type { LogEntry } from '../entry.ts'
import type { LogLevel } from '../level.ts'
import { visible } from '../text.ts'
import { messageOf, warn } from '../warnings.ts'
import { fromWinston, isWinston, type PinoLike, type WinstonLike, winstonLevel } from './adapters.ts'
import type { Output } from './output.ts'
import type { Stats } from './stats.ts'

export interface ForeignOutputOptions {
  /** Makes the whole line into the message; absent: the entry goes in as fields. */
  readonly lineOf: ((entry: LogEntry) => string) | undefined
  readonly stats: Stats
}

/** Entries that may wait inside a winston logger whose transports do not keep up; more are dropped. */
const MAX_ENTRIES_WAITING = 10_000

/** An output that hands lines to the app's own logger, whichever kind that is. */
export function foreignOutput(logger: WinstonLike | Logger, options: ForeignOutputOptions): Output {
  return isWinston(logger) ? winstonOutput(logger, options) : pinoOutput(logger, options)
}

function winstonOutput(logger: WinstonLike, { lineOf, stats }: ForeignOutputOptions): Output {
  const names: Record<LogLevel, string> = {
    error: winstonLevel(logger, 'error'),
    warn: winstonLevel(logger, 'warn'),
    info: winstonLevel(logger, 'info'),
    debug: winstonLevel(logger, 'debug'),
  }
  const onError = (error: unknown): void => failed(stats, error)
  logger.on?.('error', onError)

  function give(call: () => void): void {
    if ((logger.writableLength ?? 0) + (logger.readableLength ?? 0) >= MAX_ENTRIES_WAITING) {
      stats.lost++
      warn('POSTERN_LOGGER_OUTPUT_SLOW')
      return
    }
    counted(call, stats)
  }

  return {
    enabled: (level) => isEnabled(logger, names[level]),
    write(entry) {
      const level = names[entry.level]
      give(() => {
        logger.log(lineOf === undefined ? { ...fieldsOf(entry), level } : { level, message: lineOf(entry) })
      })
    },
    log: guarded(fromWinston(logger), give),
    flush: () => nextTurn(),
    async close() {
      await nextTurn()
      logger.off?.('error', onError)
    },
  }
}

function pinoOutput(logger: PinoLike, { lineOf, stats }: ForeignOutputOptions): Output {
  const give = (call: () => void): void => counted(call, stats)
  async function flush(): Promise<void> {
    try {
      logger.flush?.()
    } catch (thrown) {
      warn('POSTERN_LOGGER_OUTPUT_FAILED', messageOf(thrown))
    }
    await nextTurn()
  }
  return {
    enabled: (level) => isEnabled(logger, level),
    write(entry) {
      give(() => {
        if (lineOf === undefined) {
          // It writes its own time, level and message; twice the same name in one line would be ambiguous.
          const { time: _time, level: _level, message, ...fields } = fieldsOf(entry)
          logger[entry.level](fields, message)
        } else logger[entry.level]({}, lineOf(entry))
      })
    },
    log: guarded(logger, give),
    flush,
    close: flush,
  }
}

/** The entry as plain fields, without those that do not apply, every text made printable: the logger's own escaping is not known here. */
function fieldsOf(entry: LogEntry): Record<string, unknown> & { message: string } {
  const fields: Record<string, unknown> & { message: string } = { message: '' }
  for (const name in entry) {
    const value = entry[name as keyof LogEntry]
    if (value !== undefined && name !== 'fields') fields[name] = visibleDeep(value)
  }
  if (entry.fields !== undefined) Object.assign(fields, visibleDeep(JSON.parse(entry.fields)))
  return fields
}

function visibleDeep(value: unknown): unknown {
  if (typeof value === 'string') return visible(value)
  if (Array.isArray(value)) return value.map(visibleDeep)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [visible(key), visibleDeep(item)]))
}

function guarded(logger: Logger, give: (call: () => void) => void): Logger {
  return {
    debug: (fields, message) => give(() => logger.debug(fields, message)),
    info: (fields, message) => give(() => logger.info(fields, message)),
    warn: (fields, message) => give(() => logger.warn(fields, message)),
    error: (fields, message) => give(() => logger.error(fields, message)),
  }
}

function isEnabled(logger: { isLevelEnabled?(level: string): boolean }, level: string): boolean {
  try {
    return logger.isLevelEnabled?.(level) !== false
  } catch {
    return true
  }
}

function counted(call: () => void, stats: Stats): void {
  try {
    call()
    stats.written++
  } catch (thrown) {
    failed(stats, thrown)
  }
}

function failed(stats: Stats, error: unknown): void {
  stats.lost++
  warn('POSTERN_LOGGER_OUTPUT_FAILED', messageOf(error))
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
