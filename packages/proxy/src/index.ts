export type { RequestHandler } from './attach-upgrades.ts'
export { attachUpgrades } from './attach-upgrades.ts'
export type { SettledAttempt } from './channels.ts'
export { attemptSettled } from './channels.ts'
export type { HardenOptions } from './harden.ts'
export { harden } from './harden.ts'
export type {
  BodyTransform,
  BodyTransforms,
  IncomingResponse,
  OutgoingRequest,
  RequestHook,
  ResponseHook,
} from './hooks.ts'
export type { HeaderEdits } from './message/edits.ts'
export type { ForwardedStyle } from './message/forwarded.ts'
export type { CookieEdits, LocationPolicy } from './message/rewrite.ts'
export type { ProxyConnections, ProxyOptions, ProxyTimeouts } from './options.ts'
export type { ProxyProblem } from './problems.ts'
export { PROXY_PROBLEMS } from './problems.ts'
export type { ProxyHandler, ProxyStats } from './proxy.ts'
export { proxy } from './proxy.ts'
export type { HttpProxyMiddlewareOptions } from './transport/hpm-options.ts'
export { httpProxyMiddleware } from './transport/http-proxy-middleware.ts'
export type {
  ConnectionSettings,
  Flow,
  ResponseHeaders,
  ResponseSink,
  Transport,
  Upstream,
  UpstreamRequest,
} from './transport/transport.ts'
export { undiciTransport } from './transport/undici.ts'
