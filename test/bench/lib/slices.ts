import { type Answer, Connection } from './connection.ts'
import type { LoadOrder, SliceResult } from './protocol.ts'
import { requestBytes } from './request-bytes.ts'

/**
 * Keep-alive connections that stay open from one slice of load to the next. A slice ends when all that it has asked for is
 * answered, so that nobody works for it in the next one.
 */
export class SliceLoad {
  readonly #connections: readonly Connection[]
  #fault: string | undefined
  #ended: (() => void) | undefined

  private constructor(connections: readonly Connection[]) {
    this.#connections = connections
    for (const connection of connections) connection.onError = (message) => this.#fail(message)
  }

  static async open({ host, port, connections }: LoadOrder): Promise<SliceLoad> {
    const opened = Array.from({ length: connections }, () => new Connection(host, port))
    await Promise.all(opened.map((connection) => connection.opened()))
    return new SliceLoad(opened)
  }

  /** @throws Error with the first answer that was wrong, or why a connection closed; then no other slice can be run. */
  async run(order: LoadOrder): Promise<SliceResult> {
    const request = requestBytes(order.host, order.port, order.paths[0]!, order.headers)
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve
    })
    let completed = 0
    let asked = this.#connections.length
    const until = performance.now() + order.measureMs
    for (const connection of this.#connections) {
      connection.onAnswer = ({ status, bodyBytes }: Answer) => {
        if (status !== order.status || bodyBytes !== order.bodyBytes) {
          this.#fail(`status ${status} with ${bodyBytes} bytes`)
          return
        }
        completed += 1
        if (performance.now() < until) {
          connection.send(request)
          return
        }
        asked -= 1
        if (asked === 0) this.#ended?.()
      }
    }
    if (this.#fault === undefined) for (const connection of this.#connections) connection.send(request)
    else this.#ended?.()
    await ended
    if (this.#fault !== undefined) throw new Error(`${order.paths[0]}: ${this.#fault}`)
    return { completed }
  }

  #fail(message: string): void {
    this.#fault ??= message
    this.#ended?.()
  }
}
