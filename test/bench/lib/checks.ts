import { measureAdded } from './auth-added.ts'
import { measureAlone } from './auth-alone.ts'
import { checkTokens } from './auth-memory.ts'
import { checkTiming } from './auth-timing.ts'
import { measureChoices } from './choices.ts'
import type { Timing } from './measure.ts'
import type { Verdict } from './verdict.ts'

type Print = (line: string) => void

/** What is looked at beside the scenarios. */
export interface Check {
  readonly name: string
  run(print: Print, timing: Timing): Promise<readonly Verdict[]>
}

export const CHECKS: readonly Check[] = [
  { name: 'choice', run: measureChoices },
  { name: 'auth-added', run: measureAdded },
  { name: 'auth-alone', run: measureAlone },
  { name: 'auth-memory', run: checkTokens },
  { name: 'auth-timing', run: checkTiming },
  // ws, which these two need, is installed with the peers: it must not be loaded before them.
  { name: 'memory', run: async (print) => (await import('./memory.ts')).checkMemory(print) },
  { name: 'cache-memory', run: async (print) => (await import('./cache-memory.ts')).checkCacheMemory(print) },
]
