/** Longest sequence that is kept. */
const MAX_LENGTH = 10_000
/** Most work for one sequence (its length times the number of weights): a millisecond or two. */
const MAX_STEPS = 1_000_000
/** Weights such as 0.125 become whole numbers by one of these. */
const SCALES = [1, 10, 100, 1_000]

/**
 * One whole round of smooth weighted round-robin, as nginx has it: every weight is added to its target's credit, the
 * highest credit is taken (the earlier target when two are even) and pays the sum of all. 5:1:1 gives 0 0 1 0 2 0 0.
 *
 * @param weights each more than 0
 * @returns indices into `weights`; undefined when the round would be longer than 10,000 or too much work
 */
export function smoothSequence(weights: readonly number[]): Uint32Array | undefined {
  const whole = wholeWeights(weights)
  if (whole === undefined) return undefined
  const total = whole.reduce((sum, weight) => sum + weight, 0)
  if (total > MAX_LENGTH || total * whole.length > MAX_STEPS) return undefined
  const sequence = new Uint32Array(total)
  const credits = new Int32Array(whole.length)
  for (let at = 0; at < total; at++) {
    let best = 0
    for (let i = 0; i < whole.length; i++) {
      credits[i]! += whole[i]!
      if (credits[i]! > credits[best]!) best = i
    }
    credits[best]! -= total
    sequence[at] = best
  }
  return sequence
}

/** The smallest whole numbers in the same proportions; undefined when a scale of 1,000 does not make them whole. */
function wholeWeights(weights: readonly number[]): number[] | undefined {
  for (const scale of SCALES) {
    const scaled = weights.map((weight) => Math.round(weight * scale))
    if (scaled.every((value, i) => value > 0 && Math.abs(value - weights[i]! * scale) < 1e-9 * value)) {
      const divisor = scaled.reduce(greatestCommonDivisor)
      return scaled.map((value) => value / divisor)
    }
  }
  return undefined
}

function greatestCommonDivisor(a: number, b: number): number {
  let [high, low] = [a, b]
  while (low !== 0) [high, low] = [low, high % low]
  return high
}
