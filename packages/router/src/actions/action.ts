import type { RouteHandler } from '../route.ts'
import type { CompiledRedirect } from './redirect.ts'
import type { FixedAnswer } from './respond.ts'
import type { CompiledSplit } from './split.ts'

/** What a route or a branch does, read. */
export type BranchAction =
  | { readonly kind: 'handlers'; readonly handlers: readonly RouteHandler[]; readonly needsHost: false }
  | { readonly kind: 'redirect'; readonly redirect: CompiledRedirect; readonly needsHost: boolean }
  | { readonly kind: 'respond'; readonly answer: FixedAnswer; readonly needsHost: false }

/** What a route does, read. */
export type CompiledAction =
  | BranchAction
  | { readonly kind: 'split'; readonly split: CompiledSplit; readonly needsHost: boolean }
