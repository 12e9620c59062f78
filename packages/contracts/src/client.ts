import type { IncomingMessage } from 'node:http'

/** Who the client is, as far as the app trusts what it was told. */
export interface Client {
  /** IP address; `::ffff:1.2.3.4` is written as `1.2.3.4`. Empty when the socket is gone. */
  readonly address: string
  readonly protocol: 'http' | 'https'
  /** `Host` as the client meant it, or that of a trusted proxy's X-Forwarded-Host; empty when there is none. */
  readonly host: string
}

/** The parts of Express's request that speak for `trust proxy`. */
interface ExpressRequest extends IncomingMessage {
  readonly ip?: string | undefined
  readonly protocol?: string
  readonly host?: string | undefined
  readonly app?: { get(name: 'trust proxy fn'): ((address: string, hop: number) => boolean) | undefined }
}

/** The address of the TCP peer, IPv4 in its own form. */
export function peerAddress(req: IncomingMessage): string {
  return plainAddress(req.socket.remoteAddress ?? '')
}

/**
 * True when Express's `trust proxy` covers the TCP peer, so that its `X-Forwarded-*` and `Forwarded` may be believed.
 * A bare server trusts nobody.
 */
export function isPeerTrusted(req: IncomingMessage): boolean {
  const trust = (req as ExpressRequest).app?.get('trust proxy fn')
  return trust?.(req.socket.remoteAddress ?? '', 0) === true
}

/** The client under Express's `trust proxy`; the TCP peer in a bare server. */
export function clientOf(req: IncomingMessage): Client {
  if (isPeerTrusted(req)) {
    const { ip, protocol, host } = req as ExpressRequest
    return {
      address: plainAddress(ip ?? ''),
      protocol: protocol === 'https' ? 'https' : 'http',
      host: host ?? '',
    }
  }
  return { address: peerAddress(req), protocol: isEncrypted(req) ? 'https' : 'http', host: req.headers.host ?? '' }
}

/** True when the TCP peer speaks TLS with this process. */
export function isEncrypted(req: IncomingMessage): boolean {
  return (req.socket as { encrypted?: boolean }).encrypted === true
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
