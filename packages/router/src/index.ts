export type { ExplainRequest, Explanation, RouteVerdict, Winner } from './explain.ts'
export type { RouterOptions } from './options.ts'
export type { Params } from './pattern/captures.ts'
export type { RouterProblem } from './problems.ts'
export { ROUTER_PROBLEMS } from './problems.ts'
export type {
  Branch,
  FieldMatch,
  HeaderEdits,
  Next,
  QueryEdits,
  Redirect,
  Respond,
  Rewrite,
  Route,
  RouteAction,
  RouteEdits,
  RouteHandler,
  Split,
  SplitKey,
} from './route.ts'
export type { RouteInfo } from './route-info.ts'
export type { RouterHandler } from './router.ts'
export { router } from './router.ts'
export type { Loss } from './table/loss.ts'
