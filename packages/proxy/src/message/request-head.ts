import type { IncomingMessage } from 'node:http'
import { isAuthority, type OutgoingEdits, type RequestTarget } from '@postern/contracts'
import type { ProxyProblem } from '../problems.ts'
import { type ForwardedFields, noForwardedFields, readForwarded } from './forwarded.ts'
import { classify, connectionNames, HeaderClass } from './header-names.ts'

/** The name under which every Postern gateway stands in `Via` (RFC 9110 §7.6.3: a pseudonym hides the host). */
export const VIA_NAME = 'postern'

/** The client's request head as far as it was understood and may go on. */
export interface RequestHead {
  /** End-to-end fields as they came: name, value, … */
  readonly headers: string[]
  /** The one `Host`; empty for an HTTP/1.0 request without one. */
  readonly host: string
  /** Announced length of the body; undefined when there is none or it is chunked. */
  readonly contentLength: number | undefined
  readonly chunked: boolean
  readonly forwarded: ForwardedFields | undefined
  /** Times that this or another Postern gateway has passed the request on already. */
  readonly hops: number
}

/** Why a request head is refused. */
export interface RefusedHead {
  readonly problem: ProxyProblem
  readonly detail?: string
}

export interface HeadPolicy {
  /** `'pass'` forwards `X-HTTP-Method-Override` and its like. */
  readonly overrideHeaders: 'remove' | 'pass'
}

/** Node cuts the list of header fields without a word at this many names and values (nodejs/node#65010). */
const RAW_HEADER_CAP = 2000

/**
 * Reads the head of a request in one pass over its raw lines: end-to-end fields are collected as they came, the rest is
 * understood or dropped, and anything that two programs could read differently is refused (RFC 9112 §6.3, §3.2).
 *
 * @param target the request target, parsed before
 * @param reserved lower-case names that the gateway sets itself
 */
export function readRequestHead(
  req: IncomingMessage,
  target: RequestTarget,
  policy: HeadPolicy,
  reserved: OutgoingEdits['reserved'],
): RequestHead | RefusedHead {
  if (!isHttp1(req)) return { problem: 'unsupported_http_version' }
  const raw = req.rawHeaders
  if (raw.length >= headerCapOf(req)) return { problem: 'too_many_headers' }
  const headers: string[] = []
  let host: string | undefined
  let length: string | undefined
  let coding: string | undefined
  let authorization: string | undefined
  let contentType: string | undefined
  let dropped: Set<string> | undefined
  let forwarded: ForwardedFields | undefined
  let hops = 0
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!
    switch (classify(name)) {
      case HeaderClass.Forward:
        headers.push(name, value)
        break
      case HeaderClass.Authorization:
        if (authorization !== undefined && authorization !== value) return twice('Authorization')
        if (authorization === undefined) headers.push(name, value)
        authorization = value
        break
      case HeaderClass.ContentType:
        if (contentType !== undefined && contentType !== value) return twice('Content-Type')
        if (contentType === undefined) headers.push(name, value)
        contentType = value
        break
      case HeaderClass.Host:
        if (host !== undefined) return { problem: 'bad_host', detail: 'The request has more than one Host header.' }
        host = value
        break
      case HeaderClass.ContentLength:
        if (length !== undefined && length !== value) return { problem: 'bad_request_framing' }
        length = value
        break
      case HeaderClass.TransferEncoding:
        if (coding !== undefined) return { problem: 'bad_request_framing' }
        coding = value
        break
      case HeaderClass.Connection:
        dropped = connectionNames(value, dropped)
        break
      case HeaderClass.Te:
        // RFC 9110 §10.1.4: `trailers` says that the client keeps trailers, and so do we.
        if (value.toLowerCase() === 'trailers') headers.push('te', 'trailers')
        break
      case HeaderClass.Via:
        hops += countHops(value)
        headers.push(name, value)
        break
      case HeaderClass.Forwarded:
        forwarded ??= noForwardedFields()
        readForwarded(forwarded, name, value)
        break
      case HeaderClass.Override:
        if (policy.overrideHeaders === 'pass') headers.push(name, value)
        break
    }
  }
  const fault = framingFault(req, length, coding) ?? hostFault(req, host, target.authority)
  if (fault !== undefined) return fault
  headers.push('via', `${req.httpVersion} ${VIA_NAME}`)
  if (dropped !== undefined) removeNames(headers, dropped)
  if (reserved !== undefined) removeReserved(headers, reserved)
  return {
    headers,
    host: host ?? '',
    contentLength: length === undefined ? undefined : Number(length),
    chunked: coding !== undefined,
    forwarded,
    hops,
  }
}

/** Tells a refused head from one that was understood. */
export function isRefusedHead(head: RequestHead | RefusedHead): head is RefusedHead {
  return (head as RefusedHead).problem !== undefined
}

/** Methods of RTSP and ICE alone: Node's parser takes their requests and does not tell them from HTTP/1.0. */
const FOREIGN_METHODS = new Set([
  'ANNOUNCE',
  'DESCRIBE',
  'FLUSH',
  'GET_PARAMETER',
  'PAUSE',
  'PLAY',
  'RECORD',
  'REDIRECT',
  'SETUP',
  'SET_PARAMETER',
  'SOURCE',
  'TEARDOWN',
])

/** Node's parser also lets `HTTP/0.9` and `HTTP/2.0` request lines pass, which mean another framing (RFC 9112 §2.3). */
function isHttp1(req: IncomingMessage): boolean {
  return req.httpVersionMajor === 1 && req.httpVersionMinor <= 1 && !FOREIGN_METHODS.has(req.method ?? '')
}

/** What was authorised, or parsed, by the first line must not be read by another one behind us. */
function twice(name: string): RefusedHead {
  return { problem: 'bad_request_header', detail: `The request has more than one ${name} header.` }
}

function headerCapOf(req: IncomingMessage): number {
  const configured = (req.socket as { server?: { maxHeadersCount?: number | null } }).server?.maxHeadersCount
  return configured ? configured * 2 : RAW_HEADER_CAP
}

/** RFC 9112 §6.1 and §6.3: one way to state the length, written in the one clear form. */
function framingFault(
  req: IncomingMessage,
  length: string | undefined,
  coding: string | undefined,
): RefusedHead | undefined {
  if (coding !== undefined) {
    if (length !== undefined || req.httpVersionMinor === 0) return { problem: 'bad_request_framing' }
    if (coding.toLowerCase() !== 'chunked') return { problem: 'unsupported_transfer_coding' }
  } else if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) return { problem: 'bad_request_framing' }
  return undefined
}

/** RFC 9112 §3.2: exactly one well-formed Host; the same as the authority of an absolute-form target. */
function hostFault(
  req: IncomingMessage,
  host: string | undefined,
  authority: string | undefined,
): RefusedHead | undefined {
  if (host === undefined) {
    return req.httpVersionMajor === 1 && req.httpVersionMinor === 0 ? undefined : { problem: 'bad_host' }
  }
  if (!isAuthority(host)) return { problem: 'bad_host' }
  if (authority !== undefined && authority !== host.toLowerCase()) {
    return { problem: 'bad_host', detail: 'The Host header differs from the host of the request target.' }
  }
  return undefined
}

function countHops(via: string): number {
  let hops = 0
  for (const part of via.split(',')) if (part.trim().split(/[ \t]+/)[1] === VIA_NAME) hops++
  return hops
}

function removeNames(headers: string[], names: ReadonlySet<string>): void {
  let kept = 0
  for (let i = 0; i < headers.length; i += 2) {
    if (names.has(headers[i]!.toLowerCase()) && headers[i] !== 'via') continue
    headers[kept] = headers[i]!
    headers[kept + 1] = headers[i + 1]!
    kept += 2
  }
  headers.length = kept
}

/** What a client sent under a name that only the gateway may set, also spelt with `_`, never goes on. */
function removeReserved(headers: string[], reserved: ReadonlySet<string>): void {
  const names = withDashes(reserved)
  let kept = 0
  for (let i = 0; i < headers.length; i += 2) {
    if (names.has(headers[i]!.toLowerCase().replaceAll('_', '-'))) continue
    headers[kept] = headers[i]!
    headers[kept + 1] = headers[i + 1]!
    kept += 2
  }
  headers.length = kept
}

function withDashes(names: ReadonlySet<string>): ReadonlySet<string> {
  for (const name of names) {
    if (name.includes('_')) return new Set(Array.from(names, (each) => each.replaceAll('_', '-')))
  }
  return names
}
