export type { Certificates, KeyAndCertificate } from './certificates.ts'
export { certificates } from './certificates.ts'
export type { EventuallyOptions } from './eventually.ts'
export { eventually } from './eventually.ts'
export type { Framing, RawMessage } from './messages.ts'
export type { ParsedResponse, ParsedResponses, ParseResponsesOptions } from './parse-responses.ts'
export { parseResponses } from './parse-responses.ts'
export type { HeldAddress } from './ports.ts'
export { blackholeTarget, refusedPort } from './ports.ts'
export type { RawAnswer, RawRequestOptions } from './raw-request.ts'
export { rawRequest } from './raw-request.ts'
export type { Ending, RawBytes } from './raw-scripts.ts'
export {
  answer,
  answerThen,
  answerThenClose,
  badStatus,
  bothFramings,
  closeUnanswered,
  cutBody,
  dribble,
  extraBytes,
  garbage,
  halfHead,
  interimStorm,
  neverAnswer,
  neverRead,
  rawResponse,
  resetAfter,
  resetAtOnce,
  resetUnanswered,
  staleOnReuse,
  twoLengths,
  unaskedSwitch,
} from './raw-scripts.ts'
export type { RawConnection, RawScript, RawUpstream } from './raw-upstream.ts'
export { startRawUpstream } from './raw-upstream.ts'
export type { Reply, RequestOptions } from './request.ts'
export { request } from './request.ts'
export type { Served, ServeOptions } from './serve.ts'
export { serve } from './serve.ts'
export type { Unhandled } from './unhandled.ts'
export { unhandled } from './unhandled.ts'
export type { RecordedRequest, Upstream, UpstreamHandler, UpstreamOptions } from './upstream.ts'
export { startUpstream, valuesOf } from './upstream.ts'
export type {
  ConnectedWebSocket,
  RecordedWebSocket,
  WebSocketEnd,
  WebSocketMessage,
  WebSocketUpstream,
  WebSocketUpstreamOptions,
} from './websocket.ts'
export { connectWebSocket, HandshakeRefused, startWebSocketUpstream } from './websocket.ts'
