import { isAuthority } from '@postern/contracts'
import type { ResolvedRouterOptions } from '../options.ts'
import { type Pattern, PatternError } from '../pattern/pattern.ts'
import { readTemplate, type Template } from '../pattern/template.ts'
import type { Branch, Redirect, Respond, Rewrite, Route, RouteAction, RouteEdits, SplitKey } from '../route.ts'
import type { FaultList } from '../table/compile.ts'
import type { BranchAction, CompiledAction } from './action.ts'
import { type CompiledEdits, editList, type PathEdit } from './edits.ts'
import { type CompiledRedirect, needsClientHost } from './redirect.ts'
import { fixedAnswer } from './respond.ts'
import { type CompiledBranch, hashText } from './split.ts'

/** What the parts of a route are read against. */
export interface RouteScope {
  readonly pattern: Pattern
  readonly hasPath: boolean
  readonly hasPrefix: boolean
  readonly options: ResolvedRouterOptions
  readonly faults: FaultList
}

/** Reads the edits of a route or a branch; undefined when it has none. */
export function compileEdits(from: RouteEdits, at: string, scope: RouteScope): CompiledEdits | undefined {
  const { rewrite, requestHeaders, responseHeaders } = from
  if (rewrite === undefined && requestHeaders === undefined && responseHeaders === undefined) return undefined
  return {
    path: rewrite === undefined ? undefined : rewritePath(rewrite, `${at}.rewrite`, scope),
    query: editList(rewrite?.query, false),
    requestHeaders: editList(requestHeaders, true),
    responseHeaders: editList(responseHeaders, true),
  }
}

/** Reads the one action of a route or a branch. */
export function compileAction(from: RouteAction, at: string, scope: RouteScope): BranchAction | undefined {
  const { handlers, redirect, respond } = from
  const given = Object.entries({ handlers, redirect, respond }).filter(([, value]) => value !== undefined)
  if (given.length !== 1) {
    const what = given.length === 0 ? 'no action' : `several actions: ${given.map(([name]) => name).join(', ')}`
    const cure = `give it exactly one of handlers, redirect, respond${at === '' ? ' and split' : ''}`
    scope.faults.add(at, what, undefined, cure)
    return undefined
  }
  if (handlers !== undefined) {
    return { kind: 'handlers', handlers: typeof handlers === 'function' ? [handlers] : [...handlers], needsHost: false }
  }
  if (redirect !== undefined) return compileRedirect(redirect, `${at}.redirect`, scope)
  return compileRespond(respond!, `${at}.respond`, scope)
}

/** Reads a split; its branches' names begin with the route's. */
export function compileSplit(route: Route, id: string, scope: RouteScope): CompiledAction | undefined {
  const { faults } = scope
  const others = (['handlers', 'redirect', 'respond'] as const).filter((name) => route[name] !== undefined)
  if (others.length > 0) {
    faults.add('', `several actions: ${['split', ...others].join(', ')}`, undefined, 'keep exactly one')
  }
  const split = route.split!
  const isList = Array.isArray(split)
  const given: readonly Branch[] = isList ? split : (split as { branches: readonly Branch[] }).branches
  const by = isList ? undefined : (split as { by?: SplitKey }).by
  if (typeof by === 'object' && 'param' in by && !scope.pattern.params.has(by.param)) {
    faults.add('.split.by', `unknown parameter "${by.param}"`, by)
  }
  const branches: CompiledBranch[] = []
  const seen = new Set<string>()
  given.forEach((branch, i) => {
    const at = `.split${isList ? '' : '.branches'}[${i}]`
    if (seen.has(branch.id)) faults.add(`${at}.id`, 'the same as that of another branch', branch.id)
    seen.add(branch.id)
    const edits = compileEdits(branch, at, scope)
    const action = compileAction(branch, at, scope)
    if (action === undefined) return
    const { weight } = branch
    branches.push({ id: branch.id, routeId: `${id}/${branch.id}`, weight, seed: hashText(branch.id), edits, action })
  })
  const totalWeight = given.reduce((sum, branch) => sum + branch.weight, 0)
  if (totalWeight === 0) faults.add('.split', 'every branch has weight 0', undefined, 'give one a weight above 0')
  return {
    kind: 'split',
    split: { by, branches, totalWeight },
    needsHost: branches.some((branch) => branch.action.needsHost),
  }
}

function rewritePath(rewrite: Rewrite, at: string, scope: RouteScope): PathEdit | undefined {
  const given = (['stripPrefix', 'prefix', 'path'] as const).filter((name) => rewrite[name] !== undefined)
  if (given.length > 1) {
    const cure = given.includes('path')
      ? 'choose one'
      : 'leave stripPrefix out: prefix takes the place of the matched one'
    scope.faults.add(at, given.join(' and '), undefined, cure)
    return undefined
  }
  if (rewrite.stripPrefix !== undefined) {
    if (!scope.hasPrefix) scope.faults.add(`${at}.stripPrefix`, 'the route has no prefix', true, 'give it a prefix')
    return { replaces: 'prefix', template: undefined }
  }
  return pathEdit(rewrite, at, scope)
}

function pathEdit(from: { path?: string; prefix?: string }, at: string, scope: RouteScope): PathEdit | undefined {
  if (from.prefix !== undefined && scope.hasPath) {
    scope.faults.add(`${at}.prefix`, 'the route has no prefix to replace', from.prefix, 'use path')
    return undefined
  }
  const replaces = from.path === undefined ? 'prefix' : 'path'
  const text = from[replaces]
  if (text === undefined) return undefined
  let template: Template
  try {
    template = readTemplate(text, scope.pattern, scope.options.paths)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    scope.faults.add(`${at}.${replaces}`, error.message, text, error.cure)
    return undefined
  }
  return { replaces, template }
}

function compileRedirect(redirect: Redirect, at: string, scope: RouteScope): BranchAction | undefined {
  const { scheme, host, port, path, prefix, status = 302, keepQuery = true } = redirect
  const { faults } = scope
  if ([scheme, host, port, path, prefix].every((part) => part === undefined)) {
    faults.add(at, 'leads nowhere else', undefined, 'give it scheme, host, port, path or prefix')
  }
  if (path !== undefined && prefix !== undefined) faults.add(at, 'path and prefix', undefined, 'choose one')
  if (host !== undefined && (!isAuthority(host) || /:[0-9]*$/.test(host.replace(/^\[.*\]/, '')))) {
    faults.add(`${at}.host`, 'not a host without port', host, 'write example.com, and the port as port')
  }
  const compiled: CompiledRedirect = {
    status,
    scheme,
    host,
    port,
    path: pathEdit(redirect, at, scope),
    keepQuery,
  }
  return { kind: 'redirect', redirect: compiled, needsHost: needsClientHost(compiled) }
}

function compileRespond(respond: Respond, at: string, scope: RouteScope): BranchAction | undefined {
  if (respond.body !== undefined && [204, 205, 304].includes(respond.status)) {
    scope.faults.add(`${at}.body`, `a body with status ${respond.status}, which has none`)
  }
  try {
    return { kind: 'respond', answer: fixedAnswer(respond), needsHost: false }
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    scope.faults.add(`${at}.body`, `cannot be written as JSON: ${reason}`)
    return undefined
  }
}
