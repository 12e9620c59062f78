import type { ClaimRule } from './rule.ts'

/** Longest text that a pattern is tried on, in characters. */
export const MAX_MATCHED_LENGTH = 1_024

/** Whether a claim's value is what a rule asks for. */
export function claimTest(rule: ClaimRule): (value: unknown) => boolean {
  if (rule === true) return isPresent
  if (typeof rule !== 'object') return (value) => value === rule
  if ('contains' in rule) {
    const wanted = rule.contains
    return (value) => contains(value, wanted)
  }
  if ('oneOf' in rule) {
    const wanted = new Set<unknown>(rule.oneOf)
    return (value) => wanted.has(value)
  }
  // A copy: nobody else can move its `lastIndex`, or recompile it.
  const pattern = new RegExp(rule.matches)
  return (value) => typeof value === 'string' && value.length <= MAX_MATCHED_LENGTH && pattern.test(value)
}

/** `email_verified: false` is no verified address, and an empty tenant no tenant. */
function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== ''
}

/** A member of a list, or a name in a text; never a part of a name. */
function contains(value: unknown, wanted: string | number): boolean {
  if (Array.isArray(value)) return value.includes(wanted)
  return typeof value === 'string' && typeof wanted === 'string' && value.split(' ').includes(wanted)
}
