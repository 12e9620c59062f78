import { Child } from './child.ts'
import { GATEWAY_CORE } from './measure.ts'
import type { TimingResult, TimingSubject } from './protocol.ts'
import { type Moments, welchT } from './stats.ts'
import type { Verdict } from './verdict.ts'

const SCENARIO = 'auth-timing'
/** A difference counts that is more than so many times what sets of the same kind differ by. */
const NOISE_FACTOR = 2
/** Nor does one count that is less than comparing one character takes, in nanoseconds. */
const LEAST_OF_KEY = 3
/**
 * Nor, of passwords, less than half a microsecond, which is a quarter of what one more HMAC takes: a real hash takes tens of
 * milliseconds and varies by far more.
 */
const LEAST_OF_PASSWORD = 500
/** With more noise than this share of the whole, nothing can be said. */
const MAX_NOISE_SHARE = 0.05
const PATIENCE_MS = 300_000

/** What came of one kind of guess. */
interface Difference {
  readonly kind: string
  /** Mean time less that of the guesses of which nothing is right, in nanoseconds. */
  readonly nanos: number
  readonly t: number
}

interface Differences {
  /** Most that two sets of the same kind differ by, in nanoseconds. */
  readonly noise: number
  /** Mean time of a refusal. */
  readonly whole: number
  readonly of: readonly Difference[]
}

/**
 * Whether the time of a refusal tells anything of the secret. The verdict is by size, not by Welch's t alone: of enough
 * samples, t finds a difference between any two sets.
 */
export async function checkTiming(print: (line: string) => void): Promise<readonly Verdict[]> {
  const keys = await differencesOf('api-key', print)
  const leaky = await differencesOf('leaky', print)
  const users = await differencesOf('basic', print)
  return [
    ...keys.of.map((difference) => mustNotShow('an API key', LEAST_OF_KEY, difference, keys)),
    // A check that finds nothing has to find what is there.
    mustShow('a comparison that stops at the first difference', leaky.of.at(-1)!, leaky),
    ...users.of.map((difference) => mustNotShow('basic', LEAST_OF_PASSWORD, difference, users)),
  ]
}

async function differencesOf(subject: TimingSubject, print: (line: string) => void): Promise<Differences> {
  const child = new Child('auth-timing', { core: GATEWAY_CORE })
  try {
    await child.ask()
    const differences = compare(await child.ask<TimingResult>({ subject }, PATIENCE_MS))
    const { noise, whole, of } = differences
    const figures = of.map(({ kind, nanos, t }) => `${kind} ${signed(nanos)} (t ${t.toFixed(1)})`)
    print(`${SCENARIO} ${subject}: ${figures.join(', ')}; sets of one kind differ by ${span(noise)}, of ${span(whole)}`)
    return differences
  } finally {
    await child.stop()
  }
}

function compare({ references, kinds }: TimingResult): Differences {
  const means = references.map(({ mean }) => mean)
  const reference = pooled(references)
  return {
    noise: Math.max(...means) - Math.min(...means),
    whole: reference.mean,
    of: Object.entries(kinds).map(([kind, moments]) => ({
      kind,
      nanos: moments.mean - reference.mean,
      t: welchT(moments, reference),
    })),
  }
}

/** Sets of one kind as one set. */
function pooled(sets: readonly Moments[]): Moments {
  const count = sets.reduce((sum, set) => sum + set.count, 0)
  const mean = sets.reduce((sum, set) => sum + set.mean * set.count, 0) / count
  const squares = sets.reduce(
    (sum, set) => sum + set.variance * (set.count - 1) + set.count * (set.mean - mean) ** 2,
    0,
  )
  return { count, mean, variance: squares / (count - 1) }
}

function mustNotShow(what: string, least: number, difference: Difference, { noise, whole }: Differences): Verdict {
  const allowed = Math.max(NOISE_FACTOR * noise, least)
  return {
    scenario: SCENARIO,
    what: `${what}, ${difference.kind}: time of the refusal against one with nothing right`,
    asked: `±${span(allowed)}`,
    measured: tell(difference, noise, whole),
    ok: Math.abs(difference.nanos) <= allowed && noise <= MAX_NOISE_SHARE * whole,
  }
}

function mustShow(what: string, difference: Difference, { noise, whole }: Differences): Verdict {
  const needed = NOISE_FACTOR * noise
  return {
    scenario: SCENARIO,
    what: `the check itself: ${what}, ${difference.kind}`,
    asked: `> ${span(needed)}: it is found`,
    measured: tell(difference, noise, whole),
    ok: difference.nanos > needed,
  }
}

function tell({ nanos, t }: Difference, noise: number, whole: number): string {
  return `${signed(nanos)} of ${span(whole)}, t ${t.toFixed(1)} (noise ${span(noise)})`
}

function signed(nanos: number): string {
  return `${nanos < 0 ? '−' : '+'}${span(Math.abs(nanos))}`
}

function span(nanos: number): string {
  return nanos < 10_000 ? `${nanos.toFixed(1)} ns` : `${(nanos / 1_000).toFixed(1)} µs`
}
