import type { IncomingMessage } from 'node:http'
import type { UpgradeRequest } from '@postern/contracts'
import type { ProxyProblem } from './problems.ts'
import type { Transport } from './transport/transport.ts'

/** Protocols that only mean something between two neighbours, or that would hide requests from the gateway. */
const REFUSED_PROTOCOLS = new Set(['h2c', 'h2', 'http/2.0', 'tls/1.0', 'tls/1.2', 'tls/1.3'])

/** True when the gateway never lets a connection change to that protocol. */
export function isRefusedProtocol(protocol: string): boolean {
  return REFUSED_PROTOCOLS.has(protocol)
}

/**
 * Finds what is wrong with a request to upgrade. A WebSocket handshake is a GET without a body, version 13, with a key
 * of 16 bytes (RFC 6455 §4.2.1).
 */
export function upgradeFault(
  req: IncomingMessage,
  upgrade: UpgradeRequest,
  hasBody: boolean,
  transport: Transport,
): ProxyProblem | undefined {
  if (hasBody || req.httpVersionMajor !== 1 || req.httpVersionMinor === 0) return 'bad_upgrade'
  if (!transport.features.upgrades || isRefusedProtocol(upgrade.protocol)) return 'upgrade_not_supported'
  if (upgrade.protocol !== 'websocket') return undefined
  const { 'sec-websocket-key': key, 'sec-websocket-version': version } = req.headers
  const wellFormed = req.method === 'GET' && version === '13' && key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key)
  return wellFormed ? undefined : 'bad_upgrade'
}
