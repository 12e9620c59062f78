import { Child } from './child.ts'
import { GATEWAY_CORE } from './measure.ts'
import type { ChoiceResult } from './protocol.ts'
import { median } from './stats.ts'
import type { Verdict } from './verdict.ts'

const ROUNDS = 9
const MAX_RATIO = 1.1
/** Look at every target by their definition: shown, not judged. */
const FULL_SCANS = ['least-requests', 'hash', 'first']
const STRATEGIES = ['round-robin', 'random', 'power-of-two-choices', 'peak-ewma', ...FULL_SCANS]

/** What it costs to lease one of three targets, and one of a thousand, and to settle the lease; without any I/O. */
export async function measureChoices(print: (line: string) => void): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = []
  for (const strategy of STRATEGIES) {
    const few: number[] = []
    const many: number[] = []
    const child = new Child('choice', { core: GATEWAY_CORE })
    try {
      await child.ask()
      // Interleaved, in one process: both lists meet the same machine code in the same minute.
      for (let round = 0; round < ROUNDS; round++) {
        few.push((await child.ask<ChoiceResult>({ strategy, targets: 3 })).nanos)
        many.push((await child.ask<ChoiceResult>({ strategy, targets: 1_000 })).nanos)
      }
    } finally {
      await child.stop()
    }
    const [three, thousand] = [median(few)!, median(many)!]
    print(`choice ${strategy}: ${three.toFixed(0)} ns of 3, ${thousand.toFixed(0)} ns of 1000`)
    const judged = !FULL_SCANS.includes(strategy)
    verdicts.push({
      scenario: 'choice',
      what: `${strategy}: leasing one of 1000 targets against one of 3`,
      asked: judged ? `<= ${MAX_RATIO}` : 'shown',
      measured: `${(thousand / three).toFixed(2)} (${thousand.toFixed(0)} and ${three.toFixed(0)} ns)`,
      ok: !judged || thousand / three <= MAX_RATIO,
    })
  }
  return verdicts
}
