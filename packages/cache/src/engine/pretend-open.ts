import type { ServerResponse } from 'node:http'
import { standIn } from './background.ts'

/**
 * Makes a request and its response look as if the client were still there, for handlers that ask: they would stop, and
 * what they had written would pass for the whole.
 *
 * @returns shows them as they are again
 */
export function pretendOpen(res: ServerResponse): () => void {
  const { req } = res
  const socket = standIn(req)
  const values: readonly (readonly [object, string, unknown])[] = [
    [req, 'destroyed', false],
    [req, 'aborted', false],
    [req, 'closed', false],
    [req, 'socket', socket],
    [res, 'destroyed', false],
    [res, 'closed', false],
    [res, 'socket', socket],
  ]
  const before = values.map(([object, name]) => Object.getOwnPropertyDescriptor(object, name))
  for (const [object, name, value] of values) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true })
  }
  return () => {
    values.forEach(([object, name], i) => {
      const own = before[i]
      if (own === undefined) Reflect.deleteProperty(object, name)
      else Object.defineProperty(object, name, own)
    })
  }
}
