import { checkHpmOptions, type HttpProxyMiddlewareOptions } from './hpm-options.ts'
import { HpmServer } from './hpm-server.ts'
import { HpmUpstream } from './hpm-upstream.ts'
import type { Transport } from './transport.ts'

/**
 * Carries requests with http-proxy-middleware 4, for teams that bring its handlers and plugins: selection, retries,
 * health, breakers, limits, timers, header hygiene, errors and answers stay those of `proxy()`.
 *
 * ```ts
 * proxy({
 *   target: 'http://127.0.0.1:9000',
 *   transport: httpProxyMiddleware({ on: { proxyReq: (proxyReq) => proxyReq.setHeader('x-team', 'shop') } }),
 * })
 * ```
 *
 * What it takes: `on`, `plugins`, `ejectPlugins`, `logger`, `headers`, `auth` (for requests without an `Authorization`
 * of their own), `agent` (its own bounds then apply beside those of `proxy()`; it is not closed with the proxy) and
 * `localAddress`.
 *
 * Handlers and plugins see the real request and response of the exchange. They may
 * - change the outgoing head in `proxyReq` (`setHeader`, `removeHeader`, `path`), once an attempt, at any target;
 * - change `headers`, `statusCode` and `statusMessage` of the answer in `proxyRes`, synchronously; hygiene comes after;
 * - set headers on `res` that go out with the answer.
 *
 * They may not write to `res`: the answer is written by `proxy()`, and so are errors. In `error` and `econnreset` they get
 * a view of `res` on which writes do nothing. What a handler throws or rejects with before the answer has ended fails the
 * attempt as `proxy_internal_error`.
 *
 * Upgrades (WebSockets) are made with node:http directly, with the same options and the handlers `proxyReqWs`, `open` and
 * `close`: http-proxy-middleware would write the 101 to the client's connection by itself.
 *
 * What it cannot do: HTTP/2 upstreams (`allowH2` is refused at start), and `responseInterceptor` (refused at start; see
 * `transforms`).
 *
 * @throws ConfigError with every fault of the options: unknown ones, and those that `proxy()` decides itself (`target`,
 * `router`, `pathRewrite`, `changeOrigin`, `xfwd`, `ws`, `proxyTimeout`, `followRedirects`, `cookieDomainRewrite`, …), each
 * with the option to use instead
 * @see https://github.com/chimurai/http-proxy-middleware
 */
export function httpProxyMiddleware(options: HttpProxyMiddlewareOptions = {}): Transport {
  checkHpmOptions(options)
  const server = new HpmServer(options)
  return {
    name: 'http-proxy-middleware',
    features: { http2: false, upgrades: true, informational: true },
    connect: (target, settings) => new HpmUpstream(target, settings, server),
  }
}
