import { METHODS } from 'node:http'
import * as v from 'valibot'
import type { FieldMatch, RouteHandler, SplitKey } from './route.ts'

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const FRAMING = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const KNOWN_METHODS = new Set(METHODS)

const text = v.string('expected a string')
const flag = v.optional(v.boolean('expected true or false'))
const policy = v.optional(v.picklist(['refuse', 'pass'], 'expected "refuse" or "pass"'))
const label = v.pipe(text, v.regex(/^\P{Cc}{1,256}$/u, 'expected 1 to 256 characters without controls'))
const path = v.pipe(text, v.minLength(1, 'expected a path'))
const headerName = v.pipe(
  v.string('expected a header name'),
  v.regex(TOKEN, 'not a header name'),
  v.check((name) => !FRAMING.has(name.toLowerCase()), 'a header that belongs to the connection'),
)
const headerValue = v.pipe(text, v.regex(FIELD_VALUE, 'not a header value: control characters'))
const conditionName = v.pipe(v.string('expected a header name'), v.regex(TOKEN, 'not a header name'))
const whole = (min: number, max: number) => {
  const wanted = `expected a whole number from ${min} to ${max}`
  return v.pipe(v.number(wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(max, wanted))
}

/** A record whose every own key is looked at; valibot's own passes over `__proto__` and `constructor`. */
function record<K extends v.GenericSchema<string>, T extends v.GenericSchema>(key: K, value: T, wanted: string) {
  return v.optional(
    v.pipe(
      v.custom<Record<string, unknown>>(isRecord, wanted),
      v.check(
        (given) => !['__proto__', 'constructor', 'prototype'].some((name) => Object.hasOwn(given, name)),
        'a name that is not allowed: __proto__, constructor or prototype',
      ),
      v.record(key, value, wanted),
    ),
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A single value or a list of some. */
function oneOrMore(wanted: string) {
  return v.optional(
    v.lazy((value) =>
      Array.isArray(value) ? v.pipe(v.array(v.string(wanted)), v.minLength(1, wanted)) : v.string(wanted),
    ),
  )
}

const fieldMatch = v.pipe(
  v.custom<FieldMatch>(
    (value) => typeof value === 'string' || value === true || value instanceof RegExp,
    'expected a string, a regular expression, or true for present',
  ),
  v.check(
    (value) => !(value instanceof RegExp) || !(value.global || value.sticky),
    'a regular expression with the flag g or y, which remembers its last match',
  ),
)

const handler = v.pipe(
  v.custom<RouteHandler>((value) => typeof value === 'function', 'expected a handler (req, res, next)'),
  v.check((value) => value.length < 4, 'an error handler; mount it in the app, behind the router'),
)

const headerEditEntries = {
  set: record(headerName, headerValue, 'expected an object of header names to values'),
  append: record(headerName, headerValue, 'expected an object of header names to values'),
  remove: v.optional(v.array(headerName, 'expected a list of header names')),
}
const queryEditEntries = {
  set: record(text, text, 'expected an object of names to values'),
  append: record(text, text, 'expected an object of names to values'),
  remove: v.optional(v.array(text, 'expected a list of names')),
}
const rewriteEntries = {
  stripPrefix: v.optional(v.literal(true, 'expected true')),
  prefix: v.optional(path),
  path: v.optional(path),
  query: v.optional(v.strictObject(queryEditEntries)),
}
const redirectEntries = {
  scheme: v.optional(v.picklist(['http', 'https'], 'expected "http" or "https"')),
  host: v.optional(text),
  port: v.optional(whole(1, 65_535)),
  path: v.optional(path),
  prefix: v.optional(path),
  status: v.optional(v.picklist([301, 302, 303, 307, 308], 'expected 301, 302, 303, 307 or 308')),
  keepQuery: flag,
}
const respondEntries = {
  status: whole(200, 599),
  headers: record(
    headerName,
    v.lazy((value) => (Array.isArray(value) ? v.array(headerValue) : headerValue)),
    'expected an object of header names to values',
  ),
  body: v.optional(v.unknown()),
  contentType: v.optional(headerValue),
}
const actionEntries = {
  handlers: v.optional(
    v.lazy((value) =>
      Array.isArray(value) ? v.pipe(v.array(handler), v.minLength(1, 'expected a handler')) : handler,
    ),
  ),
  redirect: v.optional(v.strictObject(redirectEntries)),
  respond: v.optional(v.strictObject(respondEntries)),
  rewrite: v.optional(v.strictObject(rewriteEntries)),
  requestHeaders: v.optional(v.strictObject(headerEditEntries)),
  responseHeaders: v.optional(v.strictObject(headerEditEntries)),
}
const branchEntries = {
  id: v.pipe(text, v.regex(/^[A-Za-z0-9._~-]{1,64}$/, 'expected 1 to 64 letters, digits or . _ ~ -')),
  weight: v.pipe(
    v.number('expected a number from 0 to 1000000'),
    v.minValue(0, 'expected a number from 0 to 1000000'),
    v.maxValue(1_000_000, 'expected a number from 0 to 1000000'),
  ),
  ...actionEntries,
}
const branches = v.pipe(
  v.array(v.strictObject(branchEntries), 'expected a list of branches'),
  v.minLength(1, 'expected a branch'),
)
const splitEntries = {
  by: v.optional(
    v.custom<SplitKey>(
      isSplitKey,
      'expected "client", { header }, { cookie }, { param } or a function (req) => string | undefined',
    ),
  ),
  branches,
}
const routeEntries = {
  id: v.optional(label),
  path: v.optional(path),
  prefix: v.optional(path),
  host: oneOrMore('expected a host name or a list of them'),
  method: v.optional(
    v.lazy((value) =>
      Array.isArray(value) ? v.pipe(v.array(method()), v.minLength(1, 'expected a method')) : method(),
    ),
  ),
  headers: record(conditionName, fieldMatch, 'expected an object of header names to conditions'),
  query: record(text, fieldMatch, 'expected an object of parameter names to conditions'),
  cookies: record(text, fieldMatch, 'expected an object of cookie names to conditions'),
  client: oneOrMore('expected a network or a list of them'),
  when: v.optional(
    v.pipe(
      v.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'expected a function'),
      v.check(
        (value) => value.constructor.name !== 'AsyncFunction',
        'an async function; routes are chosen synchronously',
      ),
    ),
  ),
  before: v.optional(v.lazy((value) => (Array.isArray(value) ? v.array(handler) : handler))),
  split: v.optional(v.lazy((value) => (Array.isArray(value) ? branches : v.strictObject(splitEntries)))),
  ...actionEntries,
}
const pathPolicyEntries = {
  encodedSlashes: policy,
  repeatedSlashes: policy,
  encodedUnreserved: policy,
  pathParameters: policy,
}
const optionEntries = {
  caseSensitive: flag,
  strict: flag,
  paths: v.optional(v.strictObject(pathPolicyEntries)),
  errors: v.optional(v.picklist(['respond', 'next'], 'expected "respond" or "next"')),
  random: v.optional(
    v.custom<() => number>((value) => typeof value === 'function', 'expected a function () => number'),
  ),
}

/** The whole input: the table and the options beside it. */
export const inputSchema = v.strictObject({
  routes: v.array(v.strictObject(routeEntries, 'expected a route: { path, handlers }'), 'expected a list of routes'),
  ...optionEntries,
})

const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': ['routes', ...Object.keys(optionEntries)],
  paths: Object.keys(pathPolicyEntries),
  routes: Object.keys(routeEntries),
  branches: Object.keys(branchEntries),
  split: Object.keys(splitEntries),
  redirect: Object.keys(redirectEntries),
  respond: Object.keys(respondEntries),
  rewrite: Object.keys(rewriteEntries),
  requestHeaders: Object.keys(headerEditEntries),
  responseHeaders: Object.keys(headerEditEntries),
}

/** Known keys at a path, for "did you mean". */
export function knownKeys(at: readonly (string | number)[]): readonly string[] {
  const last = at.findLast((key) => typeof key === 'string') ?? ''
  // A bare list of branches stands directly under `split`.
  if (last === 'split' && typeof at.at(-1) === 'number') return KNOWN_KEYS.branches!
  if (last === 'query') return at.at(-2) === 'rewrite' ? Object.keys(queryEditEntries) : []
  return KNOWN_KEYS[last] ?? []
}

function method() {
  return v.pipe(
    v.string('expected a method'),
    v.check((name) => KNOWN_METHODS.has(name.toUpperCase()), 'not a method that Node knows'),
  )
}

function isSplitKey(value: unknown): boolean {
  if (value === 'client' || typeof value === 'function') return true
  if (!isRecord(value)) return false
  const keys = Object.keys(value)
  return keys.length === 1 && ['header', 'cookie', 'param'].includes(keys[0]!) && typeof value[keys[0]!] === 'string'
}
