import type { IncomingMessage } from 'node:http'
import type { Identity } from '@postern/contracts'

/** What is asked of a claim's value. */
export type ClaimRule =
  /** Exactly this text or number. */
  | string
  | number
  /** The claim is there, and is neither false, null nor an empty text. */
  | true
  /** A list with this member, or a text in which it is one of the names between spaces (as `scope` has them). */
  | { readonly contains: string | number }
  /** Exactly one of these. */
  | { readonly oneOf: readonly (string | number | boolean)[] }
  /**
   * A text of at most 1,024 characters in which the pattern is found, as `RegExp.test` has it: write `^` and `$` where the
   * whole text is meant.
   */
  | { readonly matches: RegExp }

/**
 * A function of the application's own: true allows, false denies. Anything else that it returns, throws or rejects with
 * is a fault, and answered with 503; so is one that takes too long.
 */
export type RuleCheck = (identity: Identity, req: IncomingMessage) => boolean | Promise<boolean>

/** What may be asked of a caller; all members that are given must hold. */
export interface RuleParts {
  /** All of these scopes; in a text, with spaces between them. */
  readonly scopes?: string | readonly string[]
  /** One of these scopes at least. What the client is told to need is the first. */
  readonly anyScope?: readonly string[]
  /** All of these roles; a text is one. */
  readonly roles?: string | readonly string[]
  /** One of these roles at least. */
  readonly anyRole?: readonly string[]
  /** One of these callers. */
  readonly subjects?: readonly string[]
  /** Verified by one of these schemes: `['jwt']`. */
  readonly schemes?: readonly string[]
  /** Claims by name, or by a path with dots where they lie deeper (`realm_access.roles`). */
  readonly claims?: Readonly<Record<string, ClaimRule>>
  /** Asked last, when all else holds. */
  readonly check?: RuleCheck
  /** All of these rules. */
  readonly all?: readonly Rule[]
  /** One of these rules at least. */
  readonly any?: readonly Rule[]
  /** The rule that must not hold. A caller without an identity is refused all the same. */
  readonly not?: Rule
  /**
   * A rule for each method (`GET`, `POST`); `*` for those that are not named, which are denied otherwise. HEAD has the rule of
   * GET unless it is named.
   */
  readonly methods?: Readonly<Record<string, Rule>>
}

/** Who may pass. Plain values, so that rules can be kept, put together and printed. No rule lets anonymous callers pass. */
export type Rule = 'authenticated' | RuleParts | RuleCheck

/** Holds when all of the rules do. */
export function allOf(...rules: readonly Rule[]): Rule {
  return Object.freeze({ all: Object.freeze(rules) })
}

/** Holds when one of the rules does. */
export function anyOf(...rules: readonly Rule[]): Rule {
  return Object.freeze({ any: Object.freeze(rules) })
}

/** Holds for callers for whom the rule does not. */
export function not(rule: Rule): Rule {
  return Object.freeze({ not: rule })
}
