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

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2
}
