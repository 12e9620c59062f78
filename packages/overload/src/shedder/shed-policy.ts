import { PRIORITIES, type Priority } from './priority.ts'

/** The share of the limits at which the requests of a class begin to be shed. */
export type Shares = Readonly<Record<Priority, number>>

interface Ramp {
  readonly start: number
  readonly end: number
}

/**
 * Whether to shed a request, from how near the process is to its limits and how much the request matters. Pure.
 *
 * Load is the larger of two shares: of the exchanges in flight and of the event loop's delay. From the share of its class
 * to the share of the next one above, a request is shed with a probability that grows from 0 to 1, so that a class is
 * thinned out before it is cut off, and the load settles where what is let in can be served.
 */
export class ShedPolicy {
  readonly maxInFlight: number
  readonly #perInFlight: number
  readonly #perDelayMs: number
  readonly #ramps: Readonly<Record<Priority, Ramp>>
  readonly #random: () => number

  /** Infinity switches a limit off. */
  constructor(maxInFlight: number, maxDelayMs: number, shares: Shares, random: () => number) {
    this.maxInFlight = maxInFlight
    this.#perInFlight = 1 / maxInFlight
    this.#perDelayMs = 1 / maxDelayMs
    this.#random = random
    const entries = PRIORITIES.map((priority, i) => {
      const above = PRIORITIES[i + 1]
      // Nothing is above the most important class: at twice the delay all of it is shed.
      return [priority, { start: shares[priority], end: above === undefined ? 2 : shares[above] }] as const
    })
    this.#ramps = Object.fromEntries(entries) as Record<Priority, Ramp>
  }

  /** @returns which limit it is shed for; undefined: it is let in */
  judge(priority: Priority, inFlight: number, delayMs: number): 'in_flight' | 'event_loop_delay' | undefined {
    // A limit in every case, for every class.
    if (inFlight >= this.maxInFlight) return 'in_flight'
    const byInFlight = inFlight * this.#perInFlight
    const byDelay = delayMs * this.#perDelayMs
    const load = Math.max(byInFlight, byDelay)
    const { start, end } = this.#ramps[priority]
    if (load <= start) return undefined
    if (load < end && this.#random() * (end - start) >= load - start) return undefined
    return byInFlight > byDelay ? 'in_flight' : 'event_loop_delay'
  }
}
