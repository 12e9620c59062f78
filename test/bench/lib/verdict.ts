import type { Sample, ScenarioResult } from './measure.ts'
import type { Goal } from './scenarios.ts'
import { median } from './stats.ts'

/** One promise and what came of it. */
export interface Verdict {
  readonly scenario: string
  readonly what: string
  readonly asked: string
  readonly measured: string
  readonly ok: boolean
}

/** CPU time per request, the median of the rounds; `undefined` for a contender that was left out or failed. */
export function cpuOf(result: ScenarioResult, name: string): number | undefined {
  const samples = result.samples.get(name)
  return samples === undefined ? undefined : median(cpus(samples))
}

export function cpus(samples: readonly Sample[]): readonly number[] {
  return samples.flatMap((sample) => sample.cpuMicrosPerRequest ?? [])
}

/** Compares a scenario's goals with its figures. A goal whose contender failed is missed; one left out is not judged. */
export function judge(result: ScenarioResult): readonly Verdict[] {
  return result.scenario.goals.flatMap((goal) => judgeGoal(result, goal) ?? [])
}

function judgeGoal(result: ScenarioResult, goal: Goal): Verdict | undefined {
  const contender = cpuOf(result, goal.contender)
  const against = cpuOf(result, goal.against)
  const plus = goal.plusMicros ?? 0
  const verdict = {
    scenario: result.scenario.name,
    what: `CPU per request, ${goal.contender} against ${goal.against}`,
    asked: `${goal.relation === 'below' ? '<' : '<='} ${plus === 0 ? goal.ratio : `+${plus} µs`}`,
  }
  if (contender === undefined || against === undefined) {
    const failed = result.failures.has(goal.contender) || result.failures.has(goal.against)
    return failed ? { ...verdict, measured: 'failed', ok: false } : undefined
  }
  if (goal.sameFields) {
    const differing = differingFields(result, goal)
    if (differing.length > 0) {
      return { ...verdict, measured: `not compared: ${differing.join(', ')} in one only`, ok: false }
    }
  }
  if (plus > 0) {
    const more = medianOfDifferences(result, goal)
    return { ...verdict, measured: `${more < 0 ? '' : '+'}${more.toFixed(1)} µs`, ok: more <= plus }
  }
  const ratio = contender / against
  const ok = goal.relation === 'below' ? ratio < goal.ratio : ratio <= goal.ratio
  return { ...verdict, measured: ratio.toFixed(3), ok }
}

/** Of the two in the same round, which ran within seconds of each other: what a slow minute adds, it adds to both. */
function medianOfDifferences(result: ScenarioResult, goal: Goal): number {
  const against = new Map(
    result.samples.get(goal.against)!.map((sample) => [sample.round, sample.cpuMicrosPerRequest!]),
  )
  const differences = result.samples
    .get(goal.contender)!
    .map((sample) => sample.cpuMicrosPerRequest! - against.get(sample.round)!)
  return median(differences)!
}

/** Header fields that only one of the two answers with. */
function differingFields(result: ScenarioResult, goal: Goal): readonly string[] {
  const [a = [], b = []] = [goal.contender, goal.against].map((name) => result.samples.get(name)?.[0]?.fields)
  return [...a.filter((name) => !b.includes(name)), ...b.filter((name) => !a.includes(name))]
}
