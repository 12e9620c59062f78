import * as v from 'valibot'
import { LOG_LEVELS } from './level.ts'
import { isPinoLike, isWinston } from './output/adapters.ts'

/** A header name, RFC 9110 §5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

const isFunction = v.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'not a function')
const flag = v.boolean('neither true nor false')
const headerName = v.pipe(v.string('not a text'), v.regex(HEADER_NAME, 'not a header name'))

const secretName = v.custom<string | RegExp>(
  (value) => (typeof value === 'string' && value !== '') || value instanceof RegExp,
  'neither a name nor a RegExp',
)
const secretPath = v.custom<string | RegExp>(
  (value) => (typeof value === 'string' && /^\/.*:/.test(value)) || value instanceof RegExp,
  'neither a RegExp nor a path with a segment to redact, such as /reset/:token',
)

function integer(min: number, max: number) {
  const message = `not a whole number from ${min} to ${max}`
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message))
}

const redact = v.strictObject({
  headers: v.optional(v.array(secretName, 'not a list')),
  query: v.optional(v.array(secretName, 'not a list')),
  paths: v.optional(v.array(secretPath, 'not a list')),
})

/** What `logger()` accepts. */
export const optionsSchema = v.strictObject(
  {
    name: v.optional(
      v.pipe(
        v.string('not a text'),
        v.check((name) => name.length >= 1 && name.length <= 100, 'not 1 to 100 characters long'),
      ),
    ),
    format: v.optional(v.picklist(['json', 'combined'], 'neither "json" nor "combined"')),
    logger: v.optional(
      v.custom(
        (value) => isWinston(value) || isPinoLike(value),
        'neither a winston logger nor one with debug, info, warn and error',
      ),
    ),
    stream: v.optional(
      v.custom((value) => typeof (value as { write?: unknown } | null)?.write === 'function', 'not a writable stream'),
    ),
    minLevel: v.optional(v.picklist(LOG_LEVELS, `not one of ${LOG_LEVELS.join(', ')}`)),
    levels: v.optional(isFunction),
    sample: v.optional(
      v.custom(
        (value) => typeof value === 'function' || (typeof value === 'number' && value >= 0 && value <= 1),
        'neither a number from 0 to 1 nor a function',
      ),
    ),
    sampleErrors: v.optional(flag),
    skip: v.optional(isFunction),
    fields: v.optional(isFunction),
    headers: v.optional(v.array(headerName, 'not a list')),
    redact: v.optional(redact),
    requestIdHeader: v.optional(
      v.custom(
        (value) => value === false || (typeof value === 'string' && HEADER_NAME.test(value)),
        'neither a header name nor false',
      ),
    ),
    trustRequestId: v.optional(
      v.custom(
        (value) => typeof value === 'boolean' || value === 'trusted-peers',
        'neither true, false nor "trusted-peers"',
      ),
    ),
    generateTraceparent: v.optional(flag),
    flushIntervalMs: v.optional(integer(0, 10_000)),
    maxBufferBytes: v.optional(integer(1024, 2 ** 30)),
    clock: v.optional(
      v.custom(
        (value) =>
          typeof (value as { now?: unknown } | null)?.now === 'function' &&
          typeof (value as { wallNow?: unknown } | null)?.wallNow === 'function',
        'not a clock with now() and wallNow()',
      ),
    ),
    random: v.optional(isFunction),
  },
  'not an object of options',
)

/** The names known at a path, for "did you mean". */
export function knownKeys(path: readonly (string | number)[]): readonly string[] {
  if (path.length === 0) return Object.keys(optionsSchema.entries)
  return path.length === 1 && path[0] === 'redact' ? Object.keys(redact.entries) : []
}
