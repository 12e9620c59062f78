import { type ConfigFault, type Identity, nearest, pathText } from '@postern/contracts'
import { claimAt } from '../claim-path.ts'
import { checkPart } from './check-part.ts'
import { claimTest } from './claim-test.ts'
import { byMethod, every, opposite, type Part, simple, some } from './outcome.ts'
import { patternFault } from './pattern-fault.ts'
import type { ClaimRule, RuleCheck, RuleParts } from './rule.ts'

type Path = readonly (string | number)[]

/** Deepest rule inside rules, and most rules in all: a rule that has itself inside ends somewhere. */
const MAX_DEPTH = 32
const MAX_RULES = 1_000

/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/
/** RFC 9110 §9.1; methods that are known have no lower case. */
const METHOD = /^[A-Z0-9!#$%&'*+.^_`|~-]+$/

/** What a rule is made of, in the order in which it is asked: what costs nothing first, and scopes when nothing else is missing. */
const MEMBERS: readonly (keyof RuleParts)[] = [
  'schemes',
  'subjects',
  'roles',
  'anyRole',
  'claims',
  'scopes',
  'anyScope',
  'methods',
  'all',
  'any',
  'not',
  'check',
]

/**
 * Checks a rule and makes a function of it.
 *
 * @param timeoutMs longest wait for the answer of each check, in milliseconds
 * @param faults gets all that is wrong, by path; the function is of no use then
 */
export function readRule(rule: unknown, timeoutMs: number, faults: ConfigFault[]): Part {
  return new RuleReader(timeoutMs, faults).read(rule, [])
}

const HOLDS: Part = () => undefined

class RuleReader {
  readonly #timeoutMs: number
  readonly #faults: ConfigFault[]
  #count = 0
  #isTooLarge = false

  constructor(timeoutMs: number, faults: ConfigFault[]) {
    this.#timeoutMs = timeoutMs
    this.#faults = faults
  }

  read(rule: unknown, path: Path, depth = 0): Part {
    this.#count++
    if (depth > MAX_DEPTH || this.#count > MAX_RULES) {
      if (!this.#isTooLarge) this.#fault(path, `more than ${MAX_DEPTH} rules inside each other, or ${MAX_RULES} in all`)
      this.#isTooLarge = true
    }
    // Told once, and the end: a rule that holds itself would be told of for ever.
    if (this.#isTooLarge) return HOLDS
    if (rule === 'authenticated') return HOLDS
    if (typeof rule === 'function') {
      return checkPart(rule as RuleCheck, pathText([...path, 'check']), this.#timeoutMs)
    }
    if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) {
      const cure = `write "authenticated", { scopes: … }, or a function; known members: ${MEMBERS.join(', ')}`
      return this.#fault(path, rule === undefined ? 'missing' : 'not a rule', rule, cure)
    }
    return this.#readParts(rule as Record<string, unknown>, path, depth)
  }

  #readParts(rule: Record<string, unknown>, path: Path, depth: number): Part {
    const names = Object.keys(rule).filter((name) => rule[name] !== undefined)
    for (const name of names) {
      if ((MEMBERS as readonly string[]).includes(name)) continue
      const near = nearest(name, MEMBERS)
      const cure = near === undefined ? `known here: ${MEMBERS.join(', ')}` : `did you mean "${near}"?`
      this.#fault([...path, name], 'unknown member of a rule', rule[name], cure)
    }
    if (names.length === 0) {
      return this.#fault(path, 'an empty rule', rule, 'write "authenticated" when any verified caller may pass')
    }
    return every(
      MEMBERS.filter((name) => names.includes(name)).map((name) =>
        this.#readMember(name, rule[name], [...path, name], depth),
      ),
    )
  }

  #readMember(name: keyof RuleParts, value: unknown, path: Path, depth: number): Part {
    const part = pathText(path)
    switch (name) {
      case 'scopes': {
        const scopes = this.#scopes(typeof value === 'string' ? value.split(' ') : value, path)
        return simple((identity) => hasAll(identity.scopes, scopes), { part, scope: scopes.join(' ') })
      }
      case 'anyScope': {
        const scopes = this.#scopes(value, path)
        return simple((identity) => hasAny(identity.scopes, scopes), { part, scope: scopes[0] })
      }
      case 'roles': {
        const roles = this.#names(typeof value === 'string' ? [value] : value, path)
        return simple((identity) => hasAll(identity.roles, roles), { part })
      }
      case 'anyRole': {
        const roles = this.#names(value, path)
        return simple((identity) => hasAny(identity.roles, roles), { part })
      }
      case 'subjects': {
        const subjects = new Set(this.#names(value, path))
        return simple((identity) => subjects.has(identity.subject), { part })
      }
      case 'schemes': {
        const schemes = new Set(this.#names(value, path))
        return simple((identity) => schemes.has(identity.scheme), { part })
      }
      case 'claims':
        return this.#readClaims(value, path)
      case 'methods':
        return this.#readMethods(value, path, depth)
      case 'all':
        return every(this.#rules(value, path, depth))
      case 'any':
        return some(this.#rules(value, path, depth), part)
      case 'not':
        return opposite(this.read(value, path, depth + 1), part)
      case 'check':
        if (typeof value === 'function') return checkPart(value as RuleCheck, part, this.#timeoutMs)
        return this.#fault(path, 'not a function', value)
    }
  }

  #readClaims(value: unknown, path: Path): Part {
    if (!isRecord(value)) return this.#fault(path, 'not an object of claims', value)
    const tests = Object.entries(value).map(([claim, rule]) => {
      const at = [...path, claim]
      const fault = claimFault(rule)
      if (fault !== undefined) return this.#fault(at, fault.message, rule, fault.cure)
      const test = claimTest(rule as ClaimRule)
      return simple(({ claims }: Identity) => test(claimAt(claims, claim)), { part: pathText(at) })
    })
    return tests.length === 0 ? this.#fault(path, 'no claims', value) : every(tests)
  }

  #readMethods(value: unknown, path: Path, depth: number): Part {
    if (!isRecord(value)) return this.#fault(path, 'not an object of rules by method', value)
    const rules = new Map<string, Part>()
    for (const [method, rule] of Object.entries(value)) {
      const at = [...path, method]
      if (!METHOD.test(method)) this.#fault(at, 'not a method', undefined, methodCure(method))
      rules.set(method, this.read(rule, at, depth + 1))
    }
    return rules.size === 0 ? this.#fault(path, 'no methods', value) : byMethod(rules, pathText(path))
  }

  #rules(value: unknown, path: Path, depth: number): readonly Part[] {
    if (Array.isArray(value) && value.length > 0) {
      return value.map((rule, i) => this.read(rule, [...path, i], depth + 1))
    }
    return [this.#fault(path, Array.isArray(value) ? 'an empty list' : 'not a list of rules', value)]
  }

  #names(value: unknown, path: Path): readonly string[] {
    if (!Array.isArray(value)) this.#fault(path, 'not a list of names', value)
    else if (value.length === 0) this.#fault(path, 'an empty list', value)
    else {
      for (const [i, name] of value.entries()) {
        if (typeof name !== 'string' || name === '') this.#fault([...path, i], 'not a name', name)
      }
      return value.map(String)
    }
    return []
  }

  #scopes(value: unknown, path: Path): readonly string[] {
    const scopes = this.#names(value, path)
    for (const [i, scope] of scopes.entries()) {
      if (scope === '' || SCOPE.test(scope)) continue
      const cure = scope.includes(' ') ? 'write each scope as a member of its own' : undefined
      this.#fault([...path, i], 'not a scope: visible ASCII characters without " and \\ (RFC 6749 §3.3)', scope, cure)
    }
    return scopes
  }

  #fault(path: Path, message: string, received?: unknown, cure?: string): Part {
    const below = pathText(path)
    this.#faults.push({
      path: below === '' || below.startsWith('[') ? `rule${below}` : `rule.${below}`,
      message,
      ...(received !== undefined && { received }),
      ...(cure !== undefined && { cure }),
    })
    return HOLDS
  }
}

function claimFault(rule: unknown): { readonly message: string; readonly cure?: string } | undefined {
  if (rule === true || typeof rule === 'string' || isNumber(rule)) return undefined
  if (rule === false) return { message: 'false says nothing', cure: 'write { oneOf: [false] }, or not({ claims: … })' }
  const cure = 'write a value, true, { contains }, { oneOf } or { matches }'
  if (rule instanceof RegExp) return { message: 'not a rule for a claim', cure: 'write { matches: /…/ }' }
  if (!isRecord(rule)) return { message: 'not a rule for a claim', cure }
  const names = Object.keys(rule)
  if (names.length !== 1) return { message: 'not exactly one of contains, oneOf and matches', cure }
  const { contains, oneOf, matches } = rule
  switch (names[0]) {
    case 'contains':
      return typeof contains === 'string' || isNumber(contains)
        ? undefined
        : { message: 'contains: not a text or a number' }
    case 'oneOf':
      if (!Array.isArray(oneOf) || oneOf.length === 0) return { message: 'oneOf: not a list with values' }
      return oneOf.every((each) => typeof each === 'string' || typeof each === 'boolean' || isNumber(each))
        ? undefined
        : { message: 'oneOf: not texts, numbers or booleans' }
    case 'matches': {
      const fault = matches instanceof RegExp ? patternFault(matches) : 'not a RegExp'
      return fault === undefined
        ? undefined
        : { message: `matches: ${fault}`, cure: 'begin it with ^, write it simpler, or use a check function' }
    }
    default:
      return { message: 'not a rule for a claim', cure }
  }
}

function methodCure(method: string): string {
  const upper = method.toUpperCase()
  return METHOD.test(upper) ? `write ${upper}` : 'write GET, POST, … or *'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasAll(names: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((name) => names.includes(name))
}

function hasAny(names: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some((name) => names.includes(name))
}
