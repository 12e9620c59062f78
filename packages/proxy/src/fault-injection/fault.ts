import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** What is done to one request: it is held back, or ended, or one after the other. */
export interface Fault {
  /** 0: not held back. */
  readonly delayMs: number
  /** A status to answer with, or the connection is cut; undefined: the request goes on. */
  readonly end: number | 'reset' | undefined
}

/** Orders a fault for the request it stands in. Names like it never go to an upstream: `proxy()` drops them. */
export const FAULT_HEADER = 'x-postern-fault'
/** Proves that whoever sent the order may give one. */
export const FAULT_SECRET_HEADER = 'x-postern-fault-secret'

/** What a delay and an end are drawn from. */
export interface FaultShares {
  readonly minDelayMs: number
  readonly maxDelayMs: number
  /** 0: none is held back. */
  readonly delayShare: number
  readonly end: number | 'reset' | undefined
  readonly endShare: number
}

/** Draws the fault of one request; undefined: it has none. Delay and end are drawn each on its own. */
export function drawFault(shares: FaultShares, random: () => number): Fault | undefined {
  const { minDelayMs, maxDelayMs, delayShare, endShare } = shares
  const delayed = isDrawn(delayShare, random)
  const delayMs = delayed ? minDelayMs + (maxDelayMs - minDelayMs) * random() : 0
  const end = isDrawn(endShare, random) ? shares.end : undefined
  return delayMs === 0 && end === undefined ? undefined : { delayMs, end }
}

function isDrawn(share: number, random: () => number): boolean {
  return share >= 1 || (share > 0 && random() < share)
}

/**
 * Reads an order: `delay=<ms>`, `abort=<status>`, `reset`, one of the last two at most, joined with commas.
 *
 * @returns undefined when it is not understood; nothing is done then
 */
export function readOrder(text: string, maxDelayMs: number): Fault | undefined {
  if (text.length > 100) return undefined
  let delayMs: number | undefined
  let end: Fault['end']
  for (const part of text.split(',')) {
    const match = /^(?:delay=(\d{1,10})|abort=([45]\d\d)|reset)$/.exec(part.trim())
    if (match === null) return undefined
    if (match[1] !== undefined) {
      if (delayMs !== undefined) return undefined
      delayMs = Math.min(Number(match[1]), maxDelayMs)
    } else {
      if (end !== undefined) return undefined
      end = match[2] === undefined ? 'reset' : Number(match[2])
    }
  }
  return { delayMs: delayMs ?? 0, end }
}

/** Takes orders from those who know a secret. */
export class FaultOrders {
  readonly #secret: Buffer
  readonly #maxDelayMs: number

  constructor(secret: string, maxDelayMs: number) {
    this.#secret = digest(secret)
    this.#maxDelayMs = maxDelayMs
  }

  /** The fault that a request orders for itself; undefined: none, or it may not. */
  of(request: IncomingMessage): Fault | undefined {
    const order = request.headers[FAULT_HEADER]
    const secret = request.headers[FAULT_SECRET_HEADER]
    if (typeof order !== 'string' || typeof secret !== 'string') return undefined
    // Digests have one length, and comparing them takes one time.
    if (!timingSafeEqual(digest(secret), this.#secret)) return undefined
    return readOrder(order, this.#maxDelayMs)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
