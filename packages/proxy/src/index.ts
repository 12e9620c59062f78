export type { RequestHandler } from './attach-upgrades.ts'
export { attachUpgrades } from './attach-upgrades.ts'
export type { DroppedMirror, InjectedFault, RetriedAttempt, SettledAttempt, SettledMirror } from './channels.ts'
export { attemptRetried, attemptSettled, faultInjected, mirrorDropped, mirrorSettled } from './channels.ts'
export type { DeadlineHandler, DeadlineOptions } from './deadline.ts'
export { deadline } from './deadline.ts'
export type { FaultCondition } from './fault-injection/condition.ts'
export type { FaultInjectionHandler, FaultInjectionStats } from './fault-injection/fault-injection.ts'
export { faultInjection } from './fault-injection/fault-injection.ts'
export type { FaultAbort, FaultByHeader, FaultDelay, FaultInjectionOptions } from './fault-injection/options.ts'
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
export type { MirrorStats } from './mirror/mirror.ts'
export type { MirrorDrop } from './mirror/mirror-copy.ts'
export type { MirrorFailure, MirrorOptions } from './mirror/options.ts'
export type { ProxyConnections, ProxyOptions, ProxyTimeouts } from './options.ts'
export type { ProxyProblem } from './problems.ts'
export { PROXY_PROBLEMS } from './problems.ts'
export type { ProxyHandler, ProxyStats } from './proxy.ts'
export { proxy } from './proxy.ts'
export type { HedgingOptions, RetryBudgetOptions, RetryCondition, RetryOptions } from './retry/options.ts'
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
