import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { type Exchange, warnOnce } from '@postern/contracts'

/** Which requests faults are for; whatever is given must hold. */
export interface FaultCondition {
  /** A header that is there, or headers with exactly these values. */
  readonly header?: string | Readonly<Record<string, string>>
  /** Id of the route that the router has chosen. */
  readonly route?: string
  /** Prefix of the path as the client sent it, mount path included; it ends at a segment. */
  readonly path?: string
  /** Upper case. */
  readonly method?: string
}

/** Tells whether a request may have a fault. */
export type FaultPredicate = (exchange: Exchange) => boolean

/** What an option `when` amounts to; everything may have a fault when there is none. */
export function predicateOf(
  when: FaultCondition | ((req: IncomingMessage) => boolean) | undefined,
): FaultPredicate | undefined {
  if (when === undefined) return undefined
  if (typeof when === 'function') return contained(when)
  const { header, route, path, method } = when
  const headers: readonly (readonly [name: string, value: string | undefined])[] =
    typeof header === 'string'
      ? [[header.toLowerCase(), undefined]]
      : Object.entries(header ?? {}).map(([name, value]) => [name.toLowerCase(), value])
  return ({ request, route: matched }) =>
    (method === undefined || request.method === method) &&
    (route === undefined || matched?.id === route) &&
    (path === undefined || isUnder(request, path)) &&
    headers.every(([name, value]) => hasHeader(request, name, value))
}

/** A function of the app that throws makes no fault. */
function contained(when: (req: IncomingMessage) => boolean): FaultPredicate {
  return ({ request }) => {
    try {
      return when(request) === true
    } catch (error) {
      warnOnce('POSTERN_FAULT_CONDITION_THREW', `the option when of faultInjection() threw: ${inspect(error)}`)
      return false
    }
  }
}

function hasHeader(request: IncomingMessage, name: string, value: string | undefined): boolean {
  const sent = request.headers[name]
  return value === undefined ? sent !== undefined : sent === value
}

function isUnder(request: IncomingMessage, prefix: string): boolean {
  // Express takes the mount path off `url`.
  const target = (request as { originalUrl?: string }).originalUrl ?? request.url ?? ''
  const mark = target.indexOf('?')
  const path = mark === -1 ? target : target.slice(0, mark)
  return prefix.endsWith('/') ? path.startsWith(prefix) : path === prefix || path.startsWith(`${prefix}/`)
}
