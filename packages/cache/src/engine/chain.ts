import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CachedHandler, Next } from './cache-parts.ts'

/** One handler out of several: each goes on to the next one with `next()`, the last one to whatever comes after all. */
export function chain(handlers: readonly CachedHandler[]): CachedHandler {
  return function chainHandler(req: IncomingMessage, res: ServerResponse, next: Next): void {
    run(handlers, 0, req, res, next)
  }
}

function run(
  handlers: readonly CachedHandler[],
  at: number,
  req: IncomingMessage,
  res: ServerResponse,
  last: Next,
): void {
  const handler = handlers[at]
  if (handler === undefined) {
    last()
    return
  }
  let isDone = false
  const next = (error?: unknown): void => {
    if (isDone) return
    isDone = true
    if (error === undefined) run(handlers, at + 1, req, res, last)
    else last(error)
  }
  try {
    const result = handler(req, res, next)
    if (result instanceof Promise) result.catch(next)
  } catch (error) {
    next(error)
  }
}
