import type { Verdict } from './member-health.ts'

/** A member as the rule of tiers sees it. */
export interface Tiered {
  readonly tier: number
}

/** Who of a pool may be chosen. */
export interface Arrangement<Member> {
  /** Candidates by tier, in the order in which the tiers are to be tried; no tier is empty. */
  readonly tiers: readonly Member[][]
  /** True when targets are used that are out, since so few are left. */
  readonly panic: boolean
}

/**
 * Lines up the tiers. A tier is whole enough when `panicThreshold` of its members are up; such tiers come first, the
 * lowest before the others. When none is, nobody's verdict is believed but that of connections that cannot be made: the
 * fault may well be ours, and the few that are left would drown. Then the tier with the largest share up comes first.
 *
 * @param members those that are neither drained nor of weight 0, each with its verdict
 * @param panicThreshold 0: never a panic, and a tier is whole enough while one member is up
 */
export function arrange<Member extends Tiered>(
  members: readonly (readonly [Member, Verdict])[],
  panicThreshold: number,
): Arrangement<Member> {
  const tiers = [...Map.groupBy(members, ([member]) => member.tier)].map(([tier, all]) => {
    const up = all.filter(([, verdict]) => verdict === 'up')
    const left = all.filter(([, verdict]) => verdict !== 'unreachable')
    return { tier, up, left, fitness: Math.min(up.length / all.length, panicThreshold) }
  })
  const isShort = tiers.every(({ fitness }) => fitness < panicThreshold)
  const used = tiers
    .sort((a, b) => b.fitness - a.fitness || a.tier - b.tier)
    .map(({ up, left }) => (isShort ? left : up).map(([member]) => member))
    .filter((tier) => tier.length > 0)
  return { tiers: used, panic: isShort && tiers.some(({ up, left }) => left.length > up.length) }
}
