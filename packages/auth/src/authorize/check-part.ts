import { type Answer, isNow, timedCall } from '../credentials/timed-call.ts'
import type { Outcome, Part, RuleFailure } from './outcome.ts'
import type { RuleCheck } from './rule.ts'

/** A part that a function of the application's decides. What it does wrong denies, and is published. */
export function checkPart(check: RuleCheck, part: string, timeoutMs: number): Part {
  const denied: RuleFailure = Object.freeze({ part })
  const outcomeOf = (answer: Answer<boolean>): Outcome => {
    if (answer.failed) return { part, fault: { error: answer.error } }
    return answer.value ? undefined : denied
  }
  return (identity, req) => {
    let call: () => unknown
    try {
      const returned: unknown = check(identity, req)
      if (typeof returned === 'boolean') return returned ? undefined : denied
      call = () => returned
    } catch (error) {
      call = () => {
        throw error
      }
    }
    const answer = timedCall({ provider: 'authorize-check', timeoutMs, call, read: asBoolean })
    return isNow(answer) ? outcomeOf(answer) : answer.then(outcomeOf)
  }
}

/** A function that forgot to return anything must not deny under one rule and, under `not`, allow. */
function asBoolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new TypeError('the check of a rule answered neither true nor false')
}
