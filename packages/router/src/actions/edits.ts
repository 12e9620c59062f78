import type { ServerResponse } from 'node:http'
import {
  type HeaderEdit,
  isRefusedTarget,
  type OutgoingEdits,
  type PathPolicy,
  parseRequestTarget,
  type QueryEdit,
} from '@postern/contracts'
import { captureParams } from '../pattern/captures.ts'
import { render, type Template } from '../pattern/template.ts'
import type { RequestFacts } from '../request-facts.ts'
import type { HeaderEdits, QueryEdits } from '../route.ts'
import type { Match } from '../table/leaf.ts'

/** A new path, read. */
export interface PathEdit {
  /** What the template stands for: the whole path, or the matched prefix. */
  readonly replaces: 'path' | 'prefix'
  /** Undefined: nothing takes the prefix's place. */
  readonly template: Template | undefined
}

/** The edits of a route or a branch, read. */
export interface CompiledEdits {
  readonly path: PathEdit | undefined
  readonly query: readonly QueryEdit[]
  readonly requestHeaders: readonly HeaderEdit[]
  readonly responseHeaders: readonly HeaderEdit[]
}

/** `{ remove, set, append }` as a list, in that order. */
export function editList(edits: HeaderEdits | QueryEdits | undefined, lower: boolean): readonly HeaderEdit[] {
  const list: HeaderEdit[] = []
  const nameOf = (name: string) => (lower ? name.toLowerCase() : name)
  for (const name of edits?.remove ?? []) list.push({ op: 'remove', name: nameOf(name) })
  for (const [name, value] of Object.entries(edits?.set ?? {})) list.push({ op: 'set', name: nameOf(name), value })
  for (const [name, value] of Object.entries(edits?.append ?? {}))
    list.push({ op: 'append', name: nameOf(name), value })
  return list
}

/** The edited path; a refusal when parameters have made a path that may not be forwarded. */
export function editedPath(
  edit: PathEdit,
  match: Match,
  facts: RequestFacts,
  policy: PathPolicy,
): { readonly path: string } | { readonly refused: string } {
  const { template } = edit
  let path = ''
  if (template !== undefined) {
    path = render(template, template.dynamic ? captureParams(match.variant, facts.view, 'raw') : NO_PARAMS)
  }
  if (edit.replaces === 'prefix') {
    if (path.endsWith('/')) path = path.slice(0, -1)
    path += facts.view.behind(match.variant.segments.length)
  }
  if (path === '') path = '/'
  if (template?.dynamic === true) {
    // Parts of segments, joined anew, could come to `..`.
    const target = parseRequestTarget(path, policy)
    if (isRefusedTarget(target)) return target
  }
  return { path }
}

const NO_PARAMS = Object.freeze(Object.create(null)) as Record<string, string>

/** Puts the edits onto the exchange, behind those that are there. */
export function applyEdits(
  edits: CompiledEdits,
  outgoing: OutgoingEdits,
  match: Match,
  facts: RequestFacts,
  policy: PathPolicy,
): { readonly refused: string } | undefined {
  if (edits.path !== undefined) {
    const edited = editedPath(edits.path, match, facts, policy)
    if ('refused' in edited) return edited
    outgoing.path = edited.path
  }
  for (const edit of edits.query) outgoing.editQuery(edit)
  for (const edit of edits.requestHeaders) outgoing.editRequestHeader(edit)
  for (const edit of edits.responseHeaders) outgoing.editResponseHeader(edit)
  return undefined
}

/** Edits an answer that the router gives itself, as `proxy()` would edit the upstream's. */
export function editAnswer(res: ServerResponse, edits: readonly HeaderEdit[] | undefined): void {
  if (edits === undefined) return
  for (const { op, name, value = '' } of edits) {
    if (op === 'remove') res.removeHeader(name)
    else if (op === 'set') res.setHeader(name, value)
    else res.appendHeader(name, value)
  }
}
