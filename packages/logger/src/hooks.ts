import { messageOf, warn } from './warnings.ts'

/** Counts what went wrong in functions that the app gave. */
export interface HookErrors {
  hookErrors: number
}

/**
 * Calls a function that the app gave as an option, so that nothing in it can reach the request: what it throws, and a
 * promise where there must be none, is counted, warned of once, and answered with the fallback.
 *
 * @param isValid tells a result that can be used
 */
export function contained<Argument, Second, Result>(
  option: string,
  hook: (argument: Argument, second: Second) => unknown,
  argument: Argument,
  second: Second,
  isValid: (result: unknown) => result is Result,
  fallback: Result,
  errors: HookErrors,
): Result {
  let fault: string
  try {
    const result = hook(argument, second)
    if (!isThenable(result)) {
      if (isValid(result)) return result
      fault = `${option} returned a value of the wrong type`
    } else {
      // Nobody awaits it; its rejection must not end the process.
      result.then(undefined, () => {})
      fault = `${option} returned a promise; it must answer at once`
    }
  } catch (thrown) {
    fault = `${option}: ${messageOf(thrown)}`
  }
  errors.hookErrors++
  warn('POSTERN_LOGGER_OPTION_FAILED', fault, option)
  return fallback
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

export function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}
