/** A set of values, by its moments. */
export interface Moments {
  readonly count: number
  readonly mean: number
  /** Of the sample. */
  readonly variance: number
}

export function momentsOf(values: Iterable<number>): Moments {
  let [count, mean, squares] = [0, 0, 0]
  // Welford's: one pass, without the loss of a difference of large sums.
  for (const value of values) {
    count += 1
    const off = value - mean
    mean += off / count
    squares += off * (value - mean)
  }
  return { count, mean, variance: count > 1 ? squares / (count - 1) : 0 }
}

/** Welch's t: by how many standard errors the means of two sets differ. */
export function welchT(a: Moments, b: Moments): number {
  const error = Math.sqrt(a.variance / a.count + b.variance / b.count)
  return error === 0 ? 0 : (a.mean - b.mean) / error
}

/**
 * Where the median of what `values` were drawn from lies with a certainty of 95 %, whatever its distribution: between two
 * of the sorted values, since each one is above that median or below it as a coin falls. All of them when they are too few.
 */
export function medianInterval(values: readonly number[]): readonly [least: number, most: number] {
  const sorted = [...values].sort((a, b) => a - b)
  const count = sorted.length
  let left = 0
  // The chance that exactly `left` of them are below, and that so many or fewer are.
  let chance = 0.5 ** count
  let tail = chance
  while (left < count >> 1) {
    chance *= (count - left) / (left + 1)
    if (tail + chance > 0.025) break
    tail += chance
    left += 1
  }
  return [sorted[left]!, sorted[count - 1 - left]!]
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2
}
