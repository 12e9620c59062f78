import type { ConfigFault } from '@postern/contracts'
import { ConfigError, nearest } from '@postern/contracts'
import type { Options } from 'http-proxy-middleware'

/**
 * Options of http-proxy-middleware that keep their meaning under `proxy()`. Everything else that it knows is an option
 * of `proxy()` itself and refused here, with the name of that option.
 */
export type HttpProxyMiddlewareOptions = Pick<
  Options,
  'on' | 'plugins' | 'ejectPlugins' | 'logger' | 'headers' | 'auth' | 'agent' | 'localAddress'
>

/** What belongs to `proxy()`, with the place where it is set there. */
const OURS: Readonly<Record<string, string>> = {
  target: 'give the target to proxy({ target }), or mount balancer() before it',
  router: 'choose targets with balancer() or the router, mounted before proxy()',
  forward: 'mirror requests with a route of the router',
  pathFilter: 'mount proxy() on the path: app.use("/api", proxy(…))',
  pathRewrite: 'use proxy({ rewritePath })',
  prependPath: "a path in the target's URL is always put in front; leave it out of the URL otherwise",
  ignorePath: 'use proxy({ rewritePath: () => "/" })',
  toProxy: 'requests to another forward proxy are not supported',
  method: 'assign request.method in proxy({ onRequest })',
  buffer: 'use proxy({ transforms: { request } })',
  ws: 'call attachUpgrades(server, app); WebSockets then come through the same handlers as every request',
  selfHandleResponse: 'it is always on; change answers with proxy({ onResponse, transforms })',
  changeOrigin: 'use proxy({ host: "target" }), the default, or proxy({ host: "preserve" })',
  xfwd: 'use proxy({ forwarded })',
  timeout: 'use proxy({ timeouts: { bodyIdleMs } }) and harden(server)',
  proxyTimeout: 'use proxy({ timeouts: { headersMs, bodyIdleMs } })',
  upgradeTimeout: 'use proxy({ timeouts: { connectMs, headersMs } })',
  followRedirects: 'redirects are passed to the client; their Location is rewritten by proxy({ location })',
  autoRewrite: 'use proxy({ location: "rewrite" }), the default',
  hostRewrite: 'use proxy({ location: "rewrite" }), the default, or edit Location in proxy({ onResponse })',
  protocolRewrite: 'use proxy({ location: "rewrite" }), the default, or edit Location in proxy({ onResponse })',
  cookieDomainRewrite: 'use proxy({ cookies: { domain } })',
  cookiePathRewrite: 'use proxy({ cookies: { path } })',
  preserveHeaderKeyCase: 'header names are case-insensitive and written in lower case',
  secure: 'use proxy({ tls: { rejectUnauthorized } })',
  ssl: 'use proxy({ tls })',
  http2: 'use the default transport for HTTP/2 upstreams: proxy({ allowH2: true })',
}

const EVENTS = ['close', 'econnreset', 'end', 'error', 'open', 'proxyReq', 'proxyReqWs', 'proxyRes', 'start']

/** Headers that frame a message or steer its connection; `headers` may not set them. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

const CHECKS: Readonly<Record<keyof HttpProxyMiddlewareOptions, (value: unknown) => ConfigFault[]>> = {
  on: checkHandlers,
  plugins: (value) =>
    Array.isArray(value) && value.every((plugin) => typeof plugin === 'function')
      ? []
      : [wrong('plugins', 'expected a list of functions (proxyServer, options) => void', value)],
  ejectPlugins: (value) => (typeof value === 'boolean' ? [] : [wrong('ejectPlugins', 'expected true or false', value)]),
  logger: (value) =>
    ['info', 'warn', 'error'].every((level) => typeof (value as never)?.[level] === 'function')
      ? []
      : [wrong('logger', 'expected a logger with info(), warn() and error()', value)],
  headers: checkHeaders,
  auth: (value) =>
    typeof value === 'string' && value.includes(':') ? [] : [wrong('auth', 'expected "user:password"', '…')],
  agent: (value) =>
    typeof (value as { addRequest?: unknown } | null)?.addRequest === 'function'
      ? []
      : [wrong('agent', 'expected an http.Agent or https.Agent', value)],
  localAddress: (value) =>
    typeof value === 'string' ? [] : [wrong('localAddress', 'expected an address of this machine', value)],
}

/**
 * Checks options, all faults at once.
 *
 * @throws ConfigError for what is wrong, unknown, or set on `proxy()` instead
 */
export function checkHpmOptions(options: HttpProxyMiddlewareOptions): void {
  const faults: ConfigFault[] = []
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (Object.hasOwn(CHECKS, key)) faults.push(...CHECKS[key as keyof HttpProxyMiddlewareOptions](value))
    else if (Object.hasOwn(OURS, key)) {
      faults.push({ path: key, message: 'decided by proxy() itself', received: value, cure: OURS[key]! })
    } else faults.push(unknownKey(key, key, Object.keys(CHECKS), value))
  }
  if (faults.length > 0) throw new ConfigError('httpProxyMiddleware()', faults)
}

function checkHandlers(value: unknown): ConfigFault[] {
  if (typeof value !== 'object' || value === null) return [wrong('on', 'expected an object of handlers', value)]
  const faults: ConfigFault[] = []
  for (const [event, handler] of Object.entries(value)) {
    const path = `on.${event}`
    if (handler === undefined) continue
    if (!EVENTS.includes(event)) faults.push(unknownKey(path, event, EVENTS, handler))
    else if (typeof handler !== 'function') faults.push(wrong(path, 'expected a function', handler))
    else if (handler.name === 'proxyResResponseInterceptor') {
      faults.push({
        path,
        message: 'responseInterceptor() writes the answer itself, which is for proxy() to do',
        cure: 'change bodies with proxy({ transforms: { response } }) and heads with proxy({ onResponse })',
      })
    }
  }
  return faults
}

function checkHeaders(value: unknown): ConfigFault[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [wrong('headers', 'expected an object of header names to values', value)]
  }
  const faults: ConfigFault[] = []
  for (const [name, text] of Object.entries(value)) {
    const path = `headers.${name}`
    if (!TOKEN.test(name)) faults.push(wrong(path, 'not a header name', text))
    else if (typeof text !== 'string' || !FIELD_VALUE.test(text)) faults.push(wrong(path, 'not a header value', text))
    else if (FRAMING.has(name.toLowerCase())) {
      faults.push({ path, message: 'a header of the connection, which proxy() writes', cure: 'leave it out' })
    } else if (name.toLowerCase() === 'host') {
      faults.push({
        path,
        message: 'the Host is decided by proxy()',
        received: text,
        cure: 'use proxy({ host: "target" }), the default, or proxy({ host: "preserve" })',
      })
    }
  }
  return faults
}

function wrong(path: string, message: string, received: unknown): ConfigFault {
  return { path, message, received }
}

function unknownKey(path: string, key: string, known: readonly string[], received: unknown): ConfigFault {
  const near = nearest(key, known)
  const cure = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`
  return { path, message: 'unknown option', received, cure }
}
