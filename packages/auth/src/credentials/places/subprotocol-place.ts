import type { IncomingMessage } from 'node:http'
import type { Exchange } from '@postern/contracts'
import type { Refused } from '../../scheme.ts'
import type { SubprotocolSource } from '../token-source.ts'
import { linesOf, replaceUpstream, upstreamLines } from '../upstream-lines.ts'
import { AMBIGUOUS, MALFORMED, type Place, TOO_LONG } from './place.ts'

const FIELD = 'sec-websocket-protocol'
/** RFC 6455 §4.1: each entry is a token of RFC 9110 §5.6.2. */
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

/** The entry behind a marker in `Sec-WebSocket-Protocol`. Several lines are one list (RFC 6455 §11.3.4). */
export class SubprotocolPlace implements Place {
  readonly #marker: string
  readonly #maxBytes: number

  constructor(source: SubprotocolSource, maxBytes: number) {
    this.#marker = source.subprotocol
    this.#maxBytes = maxBytes
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    if (exchange.upgrade?.protocol !== 'websocket') return undefined
    const entries = entriesOf(linesOf(req, FIELD))
    const at = entries.indexOf(this.#marker)
    if (at === -1) return undefined
    if (entries.lastIndexOf(this.#marker) !== at) return AMBIGUOUS
    const token = entries[at + 1] ?? ''
    if (token.length > this.#maxBytes) return TOO_LONG
    return TOKEN.test(token) ? token : MALFORMED
  }

  /**
   * Marker and token go. When the client has offered nothing else, the upstream has nothing to choose, and browsers end a
   * connection for which none of their offers was chosen (WHATWG WebSockets §2.1): the client is told the marker then.
   */
  strip(req: IncomingMessage, exchange: Exchange): void {
    const entries = entriesOf(upstreamLines(req, exchange, FIELD))
    if (!entries.includes(this.#marker)) return
    const secrets = new Set<string>()
    for (let i = 0; i < entries.length; i++) {
      if (entries[i] === this.#marker) secrets.add(entries[i]!).add(entries[++i] ?? '')
    }
    const kept = entries.filter((entry) => !secrets.has(entry))
    replaceUpstream(exchange, FIELD, kept.length === 0 ? [] : [kept.join(', ')])
    if (kept.length === 0 && exchange.upgrade !== undefined) {
      exchange.outgoing.editResponseHeader({ op: 'set', name: FIELD, value: this.#marker })
    }
  }
}

function entriesOf(lines: readonly string[]): string[] {
  return lines.length === 0
    ? []
    : lines
        .join(',')
        .split(',')
        .map((entry) => entry.trim())
}
