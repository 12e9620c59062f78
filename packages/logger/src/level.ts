import type { Failure } from '@postern/contracts'

/** The levels of a line, the gravest first. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** Smaller is graver. */
export const LEVEL_RANK: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

/**
 * The level of a finished exchange: `error` for 5xx and for an answer that broke off through no fault of the client,
 * `warn` for 4xx (the client that left included), else `info`.
 */
export function levelOf(status: number, failure: Failure | undefined, isComplete: boolean): LogLevel {
  if (status >= 500 || (!isComplete && isOurs(failure))) return 'error'
  return status >= 400 ? 'warn' : 'info'
}

/** A failure of an upstream or of the gateway. What the client did is nobody's failure. */
export function isOurs(failure: Failure | undefined): boolean {
  return failure !== undefined && failure.side !== 'client'
}

export function isLogLevel(value: unknown): value is LogLevel {
  return typeof value === 'string' && Object.hasOwn(LEVEL_RANK, value)
}

export function isLevelOrFalse(value: unknown): value is LogLevel | false {
  return value === false || isLogLevel(value)
}
