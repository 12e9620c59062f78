import { randomBytes } from 'node:crypto'

/** Version, trace id, parent id, flags; later versions may append fields (W3C Trace Context §3.2, §4.3). */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_PARENT = '0'.repeat(16)

/**
 * The trace id of a `traceparent` header, or undefined when the header is malformed.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function traceIdOf(traceparent: string): string | undefined {
  const match = TRACEPARENT.exec(traceparent)
  if (match === null) return undefined
  const [, version, traceId, parentId, more] = match
  if (version === 'ff' || traceId === NO_TRACE || parentId === NO_PARENT) return undefined
  return version === '00' && more !== undefined ? undefined : traceId
}

/** A `traceparent` that begins a trace, version 00, with the sampled flag: this process records it, in its log. */
export function newTraceparent(): string {
  const random = randomBytes(24).toString('hex')
  return `00-${random.slice(0, 32)}-${random.slice(32)}-01`
}
