import * as v from 'valibot'
import { isHopByHopResponse } from './message/header-names.ts'

/** The longest delay that Node's timers keep, in milliseconds. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** An optional whole number within bounds. */
export function whole(min: number, max: number) {
  const wanted = `expected a whole number from ${min} to ${max}`
  return v.optional(v.pipe(v.number(wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(max, wanted)))
}

/** An optional share of the requests, 0 to 1. */
export function share() {
  const wanted = 'expected a share from 0 to 1'
  return v.optional(v.pipe(v.number(wanted), v.minValue(0, wanted), v.maxValue(1, wanted)))
}

/** An optional function. */
export function callable<T>(wanted: string) {
  return v.optional(v.custom<T>((value) => typeof value === 'function', `expected ${wanted}`))
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

export const headerName = v.pipe(v.string('expected a header name'), v.regex(TOKEN, 'not a header name'))
export const headerValue = v.pipe(
  v.string('expected a string'),
  v.regex(FIELD_VALUE, 'not a header value: control characters'),
)

/** Headers to set, without those that say where a message ends or how its connection is used. */
export const headerRecord = v.optional(
  v.pipe(
    v.record(headerName, headerValue, 'expected an object of header names to values'),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      for (const [key, value] of Object.entries(dataset.value)) {
        if (!isFraming(key)) continue
        const path = [{ type: 'object', origin: 'value', input: dataset.value, key, value }] as const
        addIssue({
          message: 'belongs to the framing of each connection, which the proxy writes itself',
          path: [path[0]],
        })
      }
    }),
  ),
)

/** Fields that say where a message ends or how its connection is used: an edit would break what they describe. */
function isFraming(name: string): boolean {
  const lower = name.toLowerCase()
  return lower === 'content-length' || isHopByHopResponse(lower)
}

const pem = v.custom<string | Buffer>(
  (value) => typeof value === 'string' || Buffer.isBuffer(value),
  'expected PEM text or a Buffer',
)

/** TLS towards a target. */
export const tls = v.strictObject({
  ca: v.optional(v.union([pem, v.array(pem)], 'expected PEM text, a Buffer, or a list of them')),
  cert: v.optional(pem),
  key: v.optional(pem),
  passphrase: v.optional(v.string('expected a string')),
  servername: v.optional(v.string('expected a host name')),
  rejectUnauthorized: v.optional(v.boolean('expected true or false')),
})

/** A target written as an object. */
export const targetObject = v.strictObject(
  {
    url: v.union([v.string(), v.instance(URL)], 'expected a URL'),
    id: v.optional(v.string('expected a string')),
    // Their ranges are the target's own business.
    weight: v.optional(v.any()),
    tier: v.optional(v.any()),
    socketPath: v.optional(v.string('expected the path of a socket')),
    tls: v.optional(tls),
    tags: v.optional(v.record(v.string(), v.string('expected a string'), 'expected an object of strings')),
  },
  'expected a URL or { url, … }',
)

/** A target in any of its forms. */
export const targetInput = v.lazy((input) =>
  typeof input === 'string' || input instanceof URL ? v.any() : targetObject,
)
