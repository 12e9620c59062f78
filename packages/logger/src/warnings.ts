import { warnOnce } from '@postern/contracts'

/** Every warning of this package: what is wrong, and the cure. Given once a process through `process.emitWarning`. */
const WARNINGS = {
  POSTERN_LOGGER_MOUNTED_TWICE:
    'one logger() saw the same request twice; it is logged once. Mount it once, before everything else',
  POSTERN_LOGGER_OPTION_FAILED:
    'a function given to logger() threw or returned what it may not; the line was written without it',
  POSTERN_LOGGER_FIELDS_TOO_LARGE:
    'the fields of a line were larger than 16 kB and were left out; log less, or log it elsewhere',
  POSTERN_LOGGER_OUTPUT_FAILED: 'the log output failed; lines are lost and counted in stats.lost, requests go on',
  POSTERN_LOGGER_OUTPUT_SLOW:
    'the log output does not keep up; lines are dropped and counted in stats.lost, requests go on',
  POSTERN_LOGGER_INTERNAL: 'something went wrong while a request was noted or logged; the request itself goes on',
} as const

/** Codes of the warnings of this package. */
export type LoggerWarningCode = keyof typeof WARNINGS

/**
 * @param detail what exactly, for the operator: the name of the option, the error's message
 * @param key one warning a code and key
 */
export function warn(code: LoggerWarningCode, detail = '', key = ''): void {
  warnOnce(code, detail === '' ? WARNINGS[code] : `${WARNINGS[code]} (${detail})`, key)
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return 'an error without a text'
  }
}
