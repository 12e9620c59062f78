import { providerFailed } from '../channels.ts'
import type { Soon } from '../scheme.ts'

/** What somebody else's function said: a value, or nothing that could be used. */
export type Answer<Value> = { readonly failed: false; readonly value: Value } | NoAnswer

/** The function threw, rejected, took too long, or returned what cannot be read; or it was not asked at all. */
export interface NoAnswer {
  readonly failed: true
  /** For the operator: `failed`, `timeout`, `busy`. */
  readonly reason: string
  readonly error: unknown
}

export interface TimedCallOptions<Value> {
  /** Named in {@link providerFailed}: `api-key-lookup`. */
  readonly provider: string
  /** Longest wait, in milliseconds; then the signal is aborted, and whatever comes later is left alone. */
  readonly timeoutMs: number
  readonly call: (signal: AbortSignal) => unknown
  /** Turns what the function returned into a value; throws when that cannot be done. */
  readonly read: (returned: unknown) => Value
}

/**
 * Calls a function of the application's own, which may do anything: its answer comes at once when the function returns at
 * once, and within the time in any case. Never throws, never rejects; every failure is published.
 */
export function timedCall<Value>(options: TimedCallOptions<Value>): Soon<Answer<Value>> {
  const controller = new AbortController()
  let returned: unknown
  try {
    returned = options.call(controller.signal)
    if (!isThenable(returned)) return { failed: false, value: options.read(returned) }
  } catch (error) {
    return noAnswer(options.provider, 'failed', error)
  }
  return new Promise((resolve) => {
    let settled = false
    const timer = setTimeout(() => {
      settled = true
      const error = new Error(`no answer within ${options.timeoutMs} ms`)
      resolve(noAnswer(options.provider, 'timeout', error))
      controller.abort(error)
    }, options.timeoutMs)
    timer.unref()
    const settle = (finish: () => Value) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      resolve(answerOf(options.provider, finish))
    }
    Promise.resolve(returned).then(
      (value) => settle(() => options.read(value)),
      (error: unknown) =>
        settle(() => {
          throw error
        }),
    )
  })
}

function answerOf<Value>(provider: string, finish: () => Value): Answer<Value> {
  try {
    return { failed: false, value: finish() }
  } catch (error) {
    return noAnswer(provider, 'failed', error)
  }
}

function noAnswer(provider: string, reason: string, error: unknown): NoAnswer {
  if (providerFailed.hasSubscribers) providerFailed.publish({ provider, url: undefined, error })
  return { failed: true, reason, error }
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** True for what is there at once. */
export function isNow<Value>(value: Soon<Value>): value is Exclude<Value, Promise<unknown>> {
  return !(value instanceof Promise)
}
