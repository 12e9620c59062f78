import type { Exchange, HeaderEdit, Refusal, Target } from '@postern/contracts'
import type { Affinity } from './affinity.ts'

/**
 * One client's tie to a target, for one request; at the same time the edit that tells the client of a new tie. The edit
 * is asked when the head of the answer is written, and only then is it certain which target has answered: an attempt may
 * be repeated elsewhere, or two may race.
 */
export class Binding implements HeaderEdit {
  readonly op: 'append' | 'set'
  readonly name: string
  readonly #affinity: Affinity
  readonly #exchange: Exchange
  readonly #token: string | undefined
  readonly #chosen: Target[] = []
  #isAnnounced = false
  #isTakenBack = false

  constructor(affinity: Affinity, exchange: Exchange) {
    this.#affinity = affinity
    this.#exchange = exchange
    this.#token = affinity.takeToken(exchange)
    this.name = affinity.headerName
    this.op = this.name === 'set-cookie' ? 'append' : 'set'
  }

  /** Id of the target that the client is bound to, while the pool has it. */
  get targetId(): string | undefined {
    return this.#token === undefined ? undefined : this.#affinity.idOf(this.#token)
  }

  /** True when no other target than the client's own may take its requests. */
  get isExclusive(): boolean {
    if (!this.#affinity.refuses || this.#token === undefined) return false
    return this.#affinity.idOf(this.#token) !== undefined || this.#affinity.isGenuine(this.#token)
  }

  /** Value of the response header, by the target whose answer is on its way. */
  get value(): string {
    return this.#affinity.headerValue(this.#answering(), this.#exchange)
  }

  /** Notes the choice for an attempt; a client that holds another token, or none, is told with the answer. */
  chosen(target: Target): void {
    this.#chosen.push(target)
    if (this.#isAnnounced || this.#affinity.tokenOf(target) === this.#token) return
    this.#isAnnounced = true
    this.#exchange.outgoing.editResponseHeader(this)
  }

  /** The refusal of a client that is bound to what it cannot have. */
  refuse(): Refusal {
    // One that has left will not be back, and its client would be refused for as long as it keeps the cookie.
    if (this.targetId === undefined && !this.#isTakenBack) {
      this.#isTakenBack = true
      this.#affinity.takeBack(this.#exchange)
    }
    return TARGET_GONE
  }

  /** Where an answer comes from at this moment; where nobody notes attempts, the last choice. */
  #answering(): Target {
    for (const { target, status, totalMs } of this.#exchange.attempts) {
      if (status !== undefined && totalMs === undefined && this.#chosen.includes(target)) return target
    }
    return this.#chosen.at(-1)!
  }
}

const TARGET_GONE: Refusal = Object.freeze({ reason: 'target_gone' })
