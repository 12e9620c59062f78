/**
 * What Postern packages need of a logger: the four levels, fields first, as pino has them.
 * A winston logger is adapted by `@postern/logger`; a pino logger fits as it is.
 */
export interface Logger {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
}

const warned = new Set<string>()

/**
 * Warns of a misuse once a process, through Node's own warning channel (`process.emitWarning`), so that it is seen
 * without any logger being set up and can be silenced or traced with Node's own flags.
 *
 * @param code closed, documented code, `POSTERN_…`; one warning a code (and `key`) a process
 * @param message what is wrong and the cure, for the operator
 * @param key tells apart several places with the same fault, when each deserves its own warning
 */
export function warnOnce(code: string, message: string, key = ''): void {
  const mark = `${code} ${key}`
  if (warned.has(mark)) return
  warned.add(mark)
  process.emitWarning(message, { type: 'PosternWarning', code })
}
