import { setTimeout as sleep } from 'node:timers/promises'

/** Cards that the bank of this example knows; every other number is declined. */
export const CARDS = {
  good: '4242424242424242',
  declined: '4000000000000002',
  /** Approved, but the bank takes its time over it: two seconds, or `BANK_SLOW_MS`. */
  slow: '4000000000000077',
} as const

const SLOW_MS = Number(process.env.BANK_SLOW_MS ?? 2_000)

/**
 * Asks the bank for the money: true when it pays.
 *
 * @param _reference a bank takes the money once for one reference, however often it is asked; this one takes none at all
 */
export async function charge(card: string, _reference: string): Promise<boolean> {
  if (card === CARDS.slow) await sleep(SLOW_MS)
  return card === CARDS.good || card === CARDS.slow
}
