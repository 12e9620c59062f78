import type { Logger } from '@postern/contracts'
import { LOG_LEVELS, type LogLevel } from '../level.ts'

/** The parts of a winston logger that are used; a child logger has them too. */
export interface WinstonLike {
  log(entry: { level: string; message: string }): unknown
  readonly levels: object
  isLevelEnabled?(level: string): boolean
  on?(event: 'error', listener: (error: unknown) => void): unknown
  off?(event: 'error', listener: (error: unknown) => void): unknown
  readonly writableLength?: number
  readonly readableLength?: number
}

/** A pino logger, or whatever has its four methods, such as the `log` of another part of the gateway. */
export interface PinoLike extends Logger {
  isLevelEnabled?(level: string): boolean
  flush?(): unknown
}

/** True for a winston logger and for a child of one. */
export function isWinston(value: unknown): value is WinstonLike {
  if (typeof value !== 'object' || value === null) return false
  const logger = value as { log?: unknown; levels?: unknown; transports?: unknown; configure?: unknown }
  return (
    typeof logger.log === 'function' &&
    typeof logger.levels === 'object' &&
    logger.levels !== null &&
    (Array.isArray(logger.transports) || typeof logger.configure === 'function')
  )
}

/** True for whatever takes `info(fields, message)` at the four levels. */
export function isPinoLike(value: unknown): value is PinoLike {
  if (typeof value !== 'object' || value === null) return false
  return LOG_LEVELS.every((level) => typeof (value as Record<string, unknown>)[level] === 'function')
}

/** The level's name in that winston logger: syslog levels say `warning`, own levels may lack some; then `fallback`. */
export function winstonLevel(logger: WinstonLike, level: LogLevel): string {
  const names = level === 'warn' ? ['warn', 'warning'] : level === 'debug' ? ['debug', 'verbose'] : [level]
  const known = Object.keys(logger.levels)
  return [...names, 'info', 'notice'].find((name) => known.includes(name)) ?? known[0] ?? level
}

/**
 * The four-level interface of the Postern packages around a winston logger, for handing it to them. A pino logger needs
 * no adapter.
 *
 * @param logger a winston logger or a child of one
 */
export function fromWinston(logger: WinstonLike): Logger {
  function logAt(level: LogLevel): Logger['info'] {
    const name = winstonLevel(logger, level)
    return (fields, message) => {
      if (typeof fields === 'string') logger.log({ level: name, message: fields })
      else if (fields instanceof Error) {
        const { message: text, stack } = fields
        logger.log({ ...fields, stack, level: name, message: message ?? text } as { level: string; message: string })
      } else logger.log({ ...fields, level: name, message: message ?? '' })
    }
  }
  return { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') }
}
