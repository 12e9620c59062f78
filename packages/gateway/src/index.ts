export type { AuthConfig, BranchConfig, GatewayConfig, RouteAuthConfig, RouteConfig, UpstreamConfig } from './config.ts'
export type { GatewayHandler } from './gateway.ts'
export { gateway } from './gateway.ts'
export type { UpstreamParts } from './upstream.ts'
