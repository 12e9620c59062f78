import { describe, test } from 'vitest'
import type { Case, CaseGroup, Step } from './case.ts'
import { startStack } from './stack.ts'
import { takeStep } from './take-step.ts'

/** Makes a test of every case: one a variant. */
export function runCases(groups: readonly CaseGroup[]): void {
  for (const { title, cases } of groups) {
    describe(title, () => {
      for (const each of cases) {
        if ('variants' in each) {
          for (const [variant, steps] of Object.entries(each.variants)) {
            test(`${each.id} [${variant}]: ${each.says}`, () => runSteps(each, steps))
          }
        } else test(`${each.id}: ${each.says}`, () => ('steps' in each ? runSteps(each, each.steps) : runAlone(each)))
      }
    })
  }
}

async function runSteps({ options }: Case, steps: readonly Step[]): Promise<void> {
  const stack = await startStack(options)
  try {
    for (const [i, step] of steps.entries()) await takeStep(stack, step, `step ${i + 1} of ${steps.length}`)
  } finally {
    await stack.close()
  }
}

async function runAlone(each: Extract<Case, { run: unknown }>): Promise<void> {
  const stack = await startStack(each.options)
  try {
    await each.run(stack)
  } finally {
    await stack.close()
  }
}
