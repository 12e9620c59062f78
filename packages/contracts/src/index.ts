export type { TypedChannel } from './channels.ts'
export { channel, exchangeFinished } from './channels.ts'
export type { Client } from './client.ts'
export { clientOf, isEncrypted, isPeerTrusted, peerAddress } from './client.ts'
export type { Clock } from './clock.ts'
export { systemClock } from './clock.ts'
export type { ConfigFault, SchemaIssue } from './config-error.ts'
export { ConfigError, faultsOf, nearest, pathText } from './config-error.ts'
export type {
  Attempt,
  AttemptKind,
  CacheForwardReason,
  CacheVerdict,
  Deadline,
  ExchangeObserver,
  Identity,
  MatchedRoute,
  UpgradeRequest,
} from './exchange.ts'
export { Exchange, exchangeOf } from './exchange.ts'
export type { Answered, Failure, FailurePhase, FailureSide, FailureType, Outcome } from './failure.ts'
export { FAILURE_TYPES, isFailure, statusOf } from './failure.ts'
export type { Fallback, FallbackHandler, FallbackOffer } from './fallback.ts'
export { offerFallback } from './fallback.ts'
export type { ErrorMode, GatewayErrorOptions, ProblemDefinition } from './gateway-error.ts'
export { failExchange, GatewayError, PROBLEM_PAGE, sendProblem } from './gateway-error.ts'
export type { Logger } from './log.ts'
export { warnOnce } from './log.ts'
export type { HeaderEdit, QueryEdit } from './outgoing.ts'
export { OutgoingEdits } from './outgoing.ts'
export type { PathPolicy, RefusedTarget, RequestTarget } from './request-target.ts'
export { isAuthority, isRefusedTarget, parseRequestTarget } from './request-target.ts'
export type { Lease, Refusal, Selection } from './selection.ts'
export { isRefusal } from './selection.ts'
export type { Target, TargetOptions, TargetTls } from './target.ts'
export { createTarget } from './target.ts'
