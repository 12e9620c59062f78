import { domainToASCII } from 'node:url'

/** A host condition, read. */
export interface HostPattern {
  /** Lower case; for `*.x` the `x`. */
  readonly name: string
  readonly isWildcard: boolean
}

/** Why a host condition cannot be used. */
export interface HostFault {
  readonly message: string
  readonly cure: string
}

const NAME = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/
const IPV6 = /^\[[0-9a-f:.]+\]$/

/** Reads `example.com`, `*.example.com`, `192.0.2.7` or `[2001:db8::1]`. */
export function readHost(text: string): HostPattern | HostFault {
  const isWildcard = text.startsWith('*.')
  const name = (isWildcard ? text.slice(2) : text).toLowerCase().replace(/\.$/, '')
  if (NAME.test(name) || (!isWildcard && IPV6.test(name))) return { name, isWildcard }
  if (text === '*') return { message: 'any host', cure: 'leave host out' }
  if (/[^\0-\x7f]/.test(name)) {
    return { message: 'not a host as it is on the wire', cure: `write ${isWildcard ? '*.' : ''}${domainToASCII(name)}` }
  }
  if (/:[0-9]*$/.test(name)) return { message: 'a host with a port', cure: 'leave the port out, it is ignored' }
  return { message: 'not a host', cure: 'write example.com, *.example.com or an address' }
}

/** Tells a fault from a host that was read. */
export function isHostFault(host: HostPattern | HostFault): host is HostFault {
  return (host as HostFault).message !== undefined
}

/** The host of an authority: lower case, without port and without the root's dot. */
export function hostName(authority: string): string {
  const colon = authority.startsWith('[') ? authority.indexOf(']') + 1 : authority.indexOf(':')
  const name = (colon > 0 ? authority.slice(0, colon) : authority).toLowerCase()
  return name.endsWith('.') ? name.slice(0, -1) : name
}

/** The port of an authority as it was written; empty when there is none. */
export function portOf(authority: string): string {
  return /:([0-9]*)$/.exec(authority)?.[1] ?? ''
}

/** How well a host condition fits: longer is more specific, exact above all; -1 when it does not. */
export function hostRank(pattern: HostPattern, host: string): number {
  if (!pattern.isWildcard) return pattern.name === host ? Number.POSITIVE_INFINITY : -1
  const at = host.length - pattern.name.length - 1
  return at > 0 && host[at] === '.' && host.endsWith(pattern.name) ? pattern.name.length : -1
}
