import type { IncomingMessage } from 'node:http'
import type { Identity } from '@postern/contracts'
import type { Soon } from '../scheme.ts'

/** The part of a rule that does not let a caller pass. */
export interface RuleFailure {
  /** Where in the rule: `scopes`, `any[1].claims.tenant`. For operators. */
  readonly part: string
  /** The scopes that are needed, space-separated, when it is them that are missing. */
  readonly scope?: string | undefined
  /** The fault of a check that did not answer; it cannot be told then whether the caller may pass. */
  readonly fault?: { readonly error: unknown } | undefined
}

/** Undefined when a part holds. */
export type Outcome = RuleFailure | undefined

/** A rule, or part of one, as it is run. Never throws, never rejects. */
export type Part = (identity: Identity, req: IncomingMessage) => Soon<Outcome>

/** Holds when all parts do; asks them in order, and none behind the first that does not. */
export function every(parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0]!
  const from = (at: number, identity: Identity, req: IncomingMessage): Soon<Outcome> => {
    for (let i = at; i < parts.length; i++) {
      const outcome = parts[i]!(identity, req)
      if (outcome instanceof Promise) return outcome.then((later) => later ?? from(i + 1, identity, req))
      if (outcome !== undefined) return outcome
    }
    return undefined
  }
  return (identity, req) => from(0, identity, req)
}

/**
 * Holds when one part does; asks them in order. When none does, a check that did not answer counts most, since it might have
 * let the caller pass; then what the client can do something about, a missing scope.
 */
export function some(parts: readonly Part[], part: string): Part {
  const none: RuleFailure = Object.freeze({ part })
  const from = (at: number, identity: Identity, req: IncomingMessage, worst: RuleFailure): Soon<Outcome> => {
    let failure = worst
    for (let i = at; i < parts.length; i++) {
      const outcome = parts[i]!(identity, req)
      if (outcome instanceof Promise) {
        const before = failure
        return outcome.then((later) =>
          later === undefined ? undefined : from(i + 1, identity, req, graver(before, later)),
        )
      }
      if (outcome === undefined) return undefined
      failure = graver(failure, outcome)
    }
    return failure
  }
  return (identity, req) => from(0, identity, req, none)
}

function graver(before: RuleFailure, now: RuleFailure): RuleFailure {
  if (before.fault !== undefined) return before
  if (now.fault !== undefined) return now
  return before.scope === undefined && now.scope !== undefined ? now : before
}

/** Holds when the part does not. What cannot be told of a part cannot be told of its opposite. */
export function opposite(inner: Part, part: string): Part {
  const held: RuleFailure = Object.freeze({ part })
  const turned = (outcome: Outcome): Outcome => {
    if (outcome === undefined) return held
    return outcome.fault === undefined ? undefined : outcome
  }
  return (identity, req) => {
    const outcome = inner(identity, req)
    return outcome instanceof Promise ? outcome.then(turned) : turned(outcome)
  }
}

/** A part that is told at once. */
export function simple(holds: (identity: Identity) => boolean, failure: RuleFailure): Part {
  const frozen = Object.freeze(failure)
  return (identity) => (holds(identity) ? undefined : frozen)
}

/** Chooses by the method of the request, which is compared as it is: methods have a case (RFC 9110 §9.1). */
export function byMethod(rules: ReadonlyMap<string, Part>, part: string): Part {
  const denied: RuleFailure = Object.freeze({ part })
  return (identity, req) => {
    const method = req.method ?? ''
    const rule = rules.get(method) ?? (method === 'HEAD' ? rules.get('GET') : undefined) ?? rules.get('*')
    return rule === undefined ? denied : rule(identity, req)
  }
}
