import type { ServerResponse } from 'node:http'
import { clientOf, type HeaderEdit, type PathPolicy } from '@postern/contracts'
import { encodeBytes } from '../pattern/text.ts'
import { portOf } from '../predicates/hosts.ts'
import type { RequestFacts } from '../request-facts.ts'
import type { Match } from '../table/leaf.ts'
import { editAnswer, editedPath, type PathEdit } from './edits.ts'

/** A redirect, read. */
export interface CompiledRedirect {
  readonly status: number
  readonly scheme: 'http' | 'https' | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  readonly path: PathEdit | undefined
  readonly keepQuery: boolean
}

/**
 * The `Location` of a redirect. Without scheme, host and port it is a path, which no input of the client can turn into
 * another host: it starts with exactly one slash. With them, only the client's own well-formed `Host` may fill what the
 * configuration leaves open.
 */
export function locationOf(
  redirect: CompiledRedirect,
  match: Match,
  facts: RequestFacts,
  policy: PathPolicy,
): { readonly location: string } | { readonly refused: string } {
  let path = facts.target.path
  if (redirect.path !== undefined) {
    const edited = editedPath(redirect.path, match, facts, policy)
    if ('refused' in edited) return edited
    path = redirect.path.replaces === 'prefix' ? (facts.req.baseUrl ?? '') + edited.path : edited.path
  }
  const query = redirect.keepQuery ? facts.target.query : ''
  const origin = originOf(redirect, facts)
  if (origin === undefined) return { refused: 'no Host' }
  // Where repeated slashes are let through, a path could begin with two and name a host.
  return { location: origin + encodeBytes(path.replace(/^\/{2,}/, '/') + query) }
}

/** True when the redirect names a host that only the request can tell. */
export function needsClientHost(redirect: CompiledRedirect): boolean {
  return redirect.host === undefined && (redirect.scheme !== undefined || redirect.port !== undefined)
}

/** Sends a redirect, edited. */
export function sendRedirect(
  res: ServerResponse,
  status: number,
  location: string,
  edits: readonly HeaderEdit[] | undefined,
): void {
  res.statusCode = status
  res.setHeader('location', location)
  res.setHeader('content-length', 0)
  editAnswer(res, edits)
  res.end()
}

/** Empty for a redirect by path alone; undefined when the client has not told its host. */
function originOf(redirect: CompiledRedirect, facts: RequestFacts): string | undefined {
  const { scheme, host, port } = redirect
  if (scheme === undefined && host === undefined && port === undefined) return ''
  const name = host ?? facts.host
  if (name === '') return undefined
  const protocol = scheme ?? clientOf(facts.req).protocol
  const kept = scheme === undefined && host === undefined ? portOf(facts.authority) : ''
  const shown = port === undefined ? kept : String(port)
  const isDefault = shown === '' || shown === (protocol === 'https' ? '443' : '80')
  return `${protocol}://${name}${isDefault ? '' : `:${shown}`}`
}
