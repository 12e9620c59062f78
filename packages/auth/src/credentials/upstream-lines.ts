import type { IncomingMessage } from 'node:http'
import type { Exchange } from '@postern/contracts'

/**
 * The lines of a request field as they would go upstream by now: what the client sent, and what earlier stages have made
 * of it. Two schemes that each take a cookie out must not put the other's back.
 *
 * @param name lower case
 */
export function upstreamLines(req: IncomingMessage, exchange: Exchange, name: string): string[] {
  let lines = linesOf(req, name)
  for (const edit of exchange.outgoing.requestHeaders ?? []) {
    if (edit.name.toLowerCase() !== name) continue
    if (edit.op === 'append') lines.push(edit.value ?? '')
    else lines = edit.op === 'set' ? [edit.value ?? ''] : []
  }
  return lines
}

/** Has these lines go upstream in place of those that are there. */
export function replaceUpstream(exchange: Exchange, name: string, lines: readonly string[]): void {
  const { outgoing } = exchange
  outgoing.editRequestHeader({ op: 'remove', name })
  for (const value of lines) outgoing.editRequestHeader({ op: 'append', name, value })
}

/** All lines of a field, as the client sent them. */
export function linesOf(req: IncomingMessage, name: string): string[] {
  const raw = req.rawHeaders
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const each = raw[i]!
    if (each.length === name.length && each.toLowerCase() === name) lines.push(raw[i + 1]!)
  }
  return lines
}
