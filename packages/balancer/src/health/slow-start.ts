import type { ResolvedSlowStart } from './options.ts'

/** Each change of a weight rebuilds the strategy's tables: so many in a window are smooth enough. */
const STEPS = 10

/**
 * Share of its weight that a target has by now: `max(minShare, (t / window) ^ (1 / aggression))`, in ten steps. Never
 * falls while time goes on.
 *
 * @param sinceMs time since it came back, or came in
 */
export function slowStartShare(sinceMs: number, options: ResolvedSlowStart): number {
  const step = stepAt(sinceMs, options)
  if (step >= STEPS) return 1
  return Math.max(options.minShare, (step / STEPS) ** (1 / options.aggression))
}

/** Time from its return to the next step after `sinceMs`; Infinity when it has its full weight. */
export function nextStepMs(sinceMs: number, options: ResolvedSlowStart): number {
  const step = stepAt(sinceMs, options)
  return step >= STEPS ? Number.POSITIVE_INFINITY : ((step + 1) * options.windowMs) / STEPS
}

function stepAt(sinceMs: number, { windowMs }: ResolvedSlowStart): number {
  return Math.max(0, Math.floor((sinceMs * STEPS) / windowMs))
}
