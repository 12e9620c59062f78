import { randomUUID } from 'node:crypto'
import { type Exchange, isPeerTrusted } from '@postern/contracts'
import type { RequestIdTrust } from './options.ts'

/** Lower-case name of the header under which an id comes from the client and goes to the upstream. */
const REQUEST_ID = 'x-request-id'

/** Settles the id of an exchange, tells it to the client, and has the proxy pass it on to the upstream. */
export function settleRequestId(exchange: Exchange, trust: RequestIdTrust, echoHeader: string | false): void {
  if (isChosenByClient(exchange) && !isTrusted(exchange, trust)) exchange.id = randomUUID()
  const { id, outgoing, response } = exchange
  outgoing.setReserved(REQUEST_ID, id)
  if (echoHeader === false) return
  // An upstream may answer with an id of its own; the client gets one id, ours.
  outgoing.editResponseHeader({ op: 'set', name: echoHeader.toLowerCase(), value: id })
  if (!response.headersSent) response.setHeader(echoHeader, id)
}

function isChosenByClient({ request, id }: Exchange): boolean {
  const sent = request.headers[REQUEST_ID]
  if (typeof sent !== 'string') return false
  // Several such headers arrive as one list, of which the exchange takes the first.
  return sent === id || sent.startsWith(`${id}, `)
}

function isTrusted({ request }: Exchange, trust: RequestIdTrust): boolean {
  return trust === 'trusted-peers' ? isPeerTrusted(request) : trust
}
