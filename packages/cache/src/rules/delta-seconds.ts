/** Largest number of seconds; greater ones count as this one (RFC 9111 §1.2.2). */
export const MAX_DELTA_S = 2 ** 31

/** Seconds (RFC 9111 §1.2.2): undefined for anything but digits, at most {@link MAX_DELTA_S}. */
export function deltaSeconds(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  let seconds = 0
  for (let index = 0; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return undefined
    if (seconds < MAX_DELTA_S) seconds = seconds * 10 + digit
  }
  return Math.min(seconds, MAX_DELTA_S)
}

/** The smaller of two numbers of seconds, when there is an earlier one. */
export function smaller(earlier: number | undefined, seconds: number): number {
  return earlier === undefined || seconds < earlier ? seconds : earlier
}
