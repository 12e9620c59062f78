import type { IncomingMessage } from 'node:http'
import { type Exchange, isRefusedTarget, parseRequestTarget } from '@postern/contracts'
import { editQuery, editRequestHeaders } from './message/edits.ts'
import { writeForwarded } from './message/forwarded.ts'
import { isRefusedHead, readRequestHead } from './message/request-head.ts'
import type { ResolvedProxyOptions } from './options.ts'
import { planBody } from './plan-body.ts'
import type { ProxyProblem } from './problems.ts'
import { upgradeFault } from './upgrade-request.ts'

/** The upstream request as far as it depends on no target. */
export interface RequestPlan {
  readonly method: string
  /** Without the target's base path, query apart. */
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  /** Name, value, name, value, …; framing and connection apart. */
  readonly headers: string[]
  /** The client's `Host`, where it is to be preserved. */
  readonly host: string | undefined
  readonly hasBody: boolean
  /** The body, where a parser had read it; undefined: the client's stream. */
  readonly bytes: Buffer | undefined
  readonly contentLength: number | undefined
  readonly upgrade: string | undefined
}

/** Why a request is not forwarded. */
export interface RefusedPlan {
  readonly problem: ProxyProblem
  /** For the client. */
  readonly detail?: string
  /** For the operator. */
  readonly message?: string
}

/**
 * Reads a request once, refuses what is ambiguous, and builds the outgoing one out of what was understood, with the
 * edits of options and earlier stages applied. Everything is decided here, before anything is sent anywhere.
 */
export function planRequest(
  exchange: Exchange,
  req: IncomingMessage,
  options: ResolvedProxyOptions,
): RequestPlan | RefusedPlan {
  // Express keeps the whole target in `originalUrl` and takes the mount path off `url`.
  const original = (req as { originalUrl?: string }).originalUrl ?? req.url ?? ''
  const target = parseRequestTarget(original, options.paths)
  const local =
    isRefusedTarget(target) || req.url === original ? target : parseRequestTarget(req.url ?? '', options.paths)
  if (isRefusedTarget(target) || isRefusedTarget(local)) {
    const { refused } = (isRefusedTarget(target) ? target : local) as { refused: string }
    return { problem: 'bad_request_target', detail: `The request target is not forwarded: ${refused}.` }
  }
  const { outgoing, upgrade } = exchange
  const head = readRequestHead(req, target, options, outgoing.reserved)
  if (isRefusedHead(head)) return head
  if (head.hops >= options.maxHops) return { problem: 'proxy_loop' }
  const body = planBody(req, head, options.maxRequestBodyBytes)
  if ('problem' in body) return body
  if (upgrade !== undefined) {
    const fault = upgradeFault(req, upgrade, body.hasBody, options.transport)
    if (fault !== undefined) return { problem: fault }
  }
  const { headers, host } = head
  writeForwarded(headers, req, head.forwarded, host, mountPath(req), options.forwarded)
  if (options.requestEdits !== undefined) editRequestHeaders(headers, options.requestEdits)
  if (outgoing.requestHeaders !== undefined) editRequestHeaders(headers, outgoing.requestHeaders)
  let path = local.path
  if (outgoing.path !== undefined) path = outgoing.path
  else if (options.rewritePath !== undefined) path = options.rewritePath(path)
  return {
    method: req.method ?? 'GET',
    path,
    query: outgoing.query === undefined ? local.query : editQuery(local.query, outgoing.query),
    headers,
    host: options.preserveHost && host !== '' ? host : undefined,
    hasBody: body.hasBody,
    bytes: body.bytes,
    contentLength: body.contentLength,
    upgrade: upgrade?.protocol,
  }
}

/** Tells a refusal from a plan. */
export function isRefusedPlan(plan: RequestPlan | RefusedPlan): plan is RefusedPlan {
  return (plan as RefusedPlan).problem !== undefined
}

/** The part of the path that Express has taken off. */
export function mountPath(req: IncomingMessage): string {
  return (req as { baseUrl?: string }).baseUrl ?? ''
}
