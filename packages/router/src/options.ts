import { ConfigError, type ErrorMode, faultsOf, type PathPolicy } from '@postern/contracts'
import * as v from 'valibot'
import type { Route } from './route.ts'
import { inputSchema, knownKeys } from './schema.ts'
import { compileRoutes } from './table/compile.ts'
import { Table } from './table/table.ts'

/** How the table is read and asked. */
export interface RouterOptions {
  /** `/Users` and `/users` are two paths. What is forwarded keeps its case either way. @default false */
  readonly caseSensitive?: boolean
  /** `/users` and `/users/` are two paths. What is forwarded keeps its slash either way. @default false */
  readonly strict?: boolean
  /** Which odd spellings of a path are let through at all. */
  readonly paths?: PathPolicy
  /** `'next'` hands refused requests to the app's own error handler. @default 'respond' */
  readonly errors?: ErrorMode
  /** Uniform numbers from 0 up to 1 for splits without a key. @default Math.random */
  readonly random?: () => number
}

/** Options with every default filled in. Frozen. */
export interface ResolvedRouterOptions {
  readonly caseSensitive: boolean
  readonly strict: boolean
  readonly paths: PathPolicy
  readonly errors: ErrorMode
  readonly random: () => number
}

/**
 * Checks options and routes, fills in the defaults and compiles the table.
 *
 * @throws ConfigError with every fault by path, received value and cure
 */
export function resolveOptions(
  routes: readonly Route[],
  options: RouterOptions = {},
): { readonly options: ResolvedRouterOptions; readonly table: Table } {
  const parsed = v.safeParse(inputSchema, { ...options, routes })
  const faults = parsed.success ? [] : faultsOf(parsed.issues, knownKeys)
  const resolved: ResolvedRouterOptions = Object.freeze({
    caseSensitive: options.caseSensitive ?? false,
    strict: options.strict ?? false,
    paths: Object.freeze({ ...options.paths }),
    errors: options.errors ?? 'respond',
    random: options.random ?? Math.random,
  })
  // What has the right form is compiled even when something else has not, so that all faults come at once.
  const broken = new Set<unknown>()
  for (const { path = [] } of parsed.issues ?? []) if (path[0]?.key === 'routes') broken.add(path[1]?.key)
  const usable = Array.isArray(routes) && !broken.has(undefined)
  const compiled = usable ? compileRoutes(routes, resolved, (index) => !broken.has(index)) : undefined
  if (compiled !== undefined) faults.push(...compiled.faults)
  if (faults.length > 0 || compiled === undefined) throw new ConfigError('router()', faults)
  return { options: resolved, table: new Table(compiled.routes) }
}
