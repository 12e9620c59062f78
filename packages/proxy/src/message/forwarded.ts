import type { IncomingMessage } from 'node:http'
import { isEncrypted, isPeerTrusted, peerAddress } from '@postern/contracts'

/** Which fields tell the upstream who the client is. */
export type ForwardedStyle = 'x-forwarded' | 'rfc7239' | 'both' | 'none'

/** What a client said in the forwarding fields; several lines are joined. Kept only when the peer is trusted. */
export interface ForwardedFields {
  for: string
  proto: string
  host: string
  port: string
  prefix: string
  forwarded: string
}

/** No field at all. */
export function noForwardedFields(): ForwardedFields {
  return { for: '', proto: '', host: '', port: '', prefix: '', forwarded: '' }
}

/** Notes one line of the family; fields that nobody rebuilds (`X-Real-IP`, `X-Forwarded-Server`, …) are dropped. */
export function readForwarded(fields: ForwardedFields, name: string, value: string): void {
  switch (name.toLowerCase()) {
    case 'x-forwarded-for':
      fields.for = fields.for === '' ? value : `${fields.for}, ${value}`
      break
    case 'x-forwarded-proto':
      fields.proto = value
      break
    case 'x-forwarded-host':
      fields.host = value
      break
    case 'x-forwarded-port':
      fields.port = value
      break
    case 'x-forwarded-prefix':
      fields.prefix = value
      break
    case 'forwarded':
      fields.forwarded = fields.forwarded === '' ? value : `${fields.forwarded}, ${value}`
      break
  }
}

/**
 * Writes the forwarding fields of the upstream request. From a peer that Express's `trust proxy` does not cover, what
 * it said about others is dropped and only what this process saw itself is told; from one that it covers, that is
 * appended. The last address in `X-Forwarded-For` is always the TCP peer.
 *
 * @param received what the client said; undefined when it said nothing
 * @param host the client's `Host`
 * @param prefix the mount path that Express took off (`req.baseUrl`)
 * @see https://www.rfc-editor.org/rfc/rfc7239
 */
export function writeForwarded(
  into: string[],
  req: IncomingMessage,
  received: ForwardedFields | undefined,
  host: string,
  prefix: string,
  style: ForwardedStyle,
): void {
  if (style === 'none') return
  const peer = peerAddress(req)
  const proto = isEncrypted(req) ? 'https' : 'http'
  const trusted = received !== undefined && isPeerTrusted(req) ? received : undefined
  if (style !== 'rfc7239') {
    into.push('x-forwarded-for', trusted === undefined || trusted.for === '' ? peer : `${trusted.for}, ${peer}`)
    into.push('x-forwarded-proto', trusted === undefined || trusted.proto === '' ? proto : trusted.proto)
    const forwardedHost = trusted === undefined || trusted.host === '' ? host : trusted.host
    if (forwardedHost !== '') into.push('x-forwarded-host', forwardedHost)
    if (trusted !== undefined && trusted.port !== '') into.push('x-forwarded-port', trusted.port)
    const outerPrefix = trusted === undefined ? '' : trusted.prefix
    if (outerPrefix !== '' || prefix !== '') into.push('x-forwarded-prefix', outerPrefix + prefix)
  }
  if (style !== 'x-forwarded') {
    const node = peer.includes(':') ? `"[${peer}]"` : peer === '' ? 'unknown' : peer
    const element = `for=${node};proto=${proto}${host === '' ? '' : `;host="${host}"`}`
    into.push(
      'forwarded',
      trusted === undefined || trusted.forwarded === '' ? element : `${trusted.forwarded}, ${element}`,
    )
  }
}
