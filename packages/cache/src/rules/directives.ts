import { deltaSeconds, smaller } from './delta-seconds.ts'
import { readDirectives } from './directive-list.ts'
import { tokenList } from './field-list.ts'

export { MAX_DELTA_S } from './delta-seconds.ts'
export { parseRequestDirectives, type RequestDirectives } from './request-directives.ts'

/** What a response's Cache-Control field says, or a targeted field in its place. */
export interface ResponseDirectives {
  /** In seconds, 0 to 2^31; undefined: not given. 0 as well when given in a way that makes no sense. */
  readonly maxAgeS: number | undefined
  readonly sMaxAgeS: number | undefined
  readonly noStore: boolean
  /** Given in any form; the qualified form has {@link noCacheFields}. */
  readonly noCache: boolean
  /** Given in any form; the qualified form has {@link privateFields}. */
  readonly private: boolean
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly noTransform: boolean
  readonly immutable: boolean
  /** Lower-case names; empty: `no-cache` is unqualified or not given. */
  readonly noCacheFields: readonly string[]
  /** Lower-case names; empty: `private` is unqualified or not given. */
  readonly privateFields: readonly string[]
  /** How long it may be used stale, in seconds (RFC 5861); undefined: not given. */
  readonly staleWhileRevalidateS: number | undefined
  readonly staleIfErrorS: number | undefined
}

/** Response directives while they are being read. */
export type ResponseDraft = {
  -readonly [Name in keyof ResponseDirectives]: ResponseDirectives[Name]
} & {
  noCacheFields: string[]
  privateFields: string[]
  unqualifiedNoCache: boolean
  unqualifiedPrivate: boolean
  invalidSMaxAge: boolean
}

/**
 * Reads the directives of a response. Never throws, whatever the text. Directives that it does not know are ignored
 * (RFC 9111 §5.2.3); quoted and unquoted arguments are both understood (§5.2).
 *
 * What is malformed is taken at its strictest. Restrictions hold however they are written, without the fields that
 * would narrow them: `private=""`, `no-cache=` and `private="a b"` are unqualified. Permissions count only when well
 * written. Seconds that are no whole number, negative or missing are 0, and so is a max-age or s-maxage given twice
 * with different values: the response counts as stale (§4.2.1). Of two stale-while-revalidate or stale-if-error the
 * smaller one holds.
 *
 * @param value several lines joined with commas
 * @see RFC 9111 §5.2.2
 */
export function parseResponseDirectives(value: string): ResponseDirectives {
  const known = KNOWN.get(value)
  if (known !== undefined) return known
  const draft = responseDraft()
  readDirectives(value, takeResponseDirective, draft)
  const directives = finished(draft)
  if (value.length <= LONGEST_KNOWN) {
    if (KNOWN.size === MOST_KNOWN) KNOWN.clear()
    KNOWN.set(value, directives)
  }
  return directives
}

// Origins have a few values that they send again and again: each is read once. Bounded, since anyone can send others.
const KNOWN = new Map<string, ResponseDirectives>()
const MOST_KNOWN = 256
const LONGEST_KNOWN = 256

/** Nothing read yet. */
export function responseDraft(): ResponseDraft {
  return {
    maxAgeS: undefined,
    sMaxAgeS: undefined,
    noStore: false,
    noCache: false,
    private: false,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    noTransform: false,
    immutable: false,
    noCacheFields: [],
    privateFields: [],
    staleWhileRevalidateS: undefined,
    staleIfErrorS: undefined,
    unqualifiedNoCache: false,
    unqualifiedPrivate: false,
    invalidSMaxAge: false,
  }
}

/** Adds one directive to what was read so far. `name` is in lower case; a malformed directive has no argument. */
export function takeResponseDirective(
  draft: ResponseDraft,
  name: string,
  argument: string | undefined,
  malformed: boolean,
): void {
  switch (name) {
    case 'max-age':
      draft.maxAgeS = lifetimeOf(draft.maxAgeS, deltaSeconds(argument))
      return
    case 's-maxage': {
      const seconds = deltaSeconds(argument)
      if (seconds === undefined) draft.invalidSMaxAge = true
      draft.sMaxAgeS = lifetimeOf(draft.sMaxAgeS, seconds)
      return
    }
    case 'no-store':
      draft.noStore = true
      return
    case 'no-transform':
      draft.noTransform = true
      return
    case 'proxy-revalidate':
      draft.proxyRevalidate = true
      return
    case 'must-revalidate':
      // It also permits storing answers to authorized requests (§3.5). A shared cache is restricted by proxy-revalidate
      // in the same way, which permits nothing.
      if (argument === undefined && !malformed) draft.mustRevalidate = true
      else draft.proxyRevalidate = true
      return
    case 'must-understand':
      // It lifts no-store, which is sent along with it (§5.2.2.3); when in doubt that one holds.
      if (argument === undefined && !malformed) draft.mustUnderstand = true
      else draft.noStore = true
      return
    case 'public':
      if (argument === undefined && !malformed) draft.public = true
      return
    case 'immutable':
      // Arguments have no meaning (RFC 8246 §2).
      if (!malformed) draft.immutable = true
      return
    case 'no-cache': {
      draft.noCache = true
      const fields = fieldNames(argument)
      if (fields === undefined) draft.unqualifiedNoCache = true
      else draft.noCacheFields.push(...fields)
      return
    }
    case 'private': {
      draft.private = true
      const fields = fieldNames(argument)
      if (fields === undefined) draft.unqualifiedPrivate = true
      else draft.privateFields.push(...fields)
      return
    }
    case 'stale-while-revalidate':
      draft.staleWhileRevalidateS = smaller(draft.staleWhileRevalidateS, deltaSeconds(argument) ?? 0)
      return
    case 'stale-if-error':
      draft.staleIfErrorS = smaller(draft.staleIfErrorS, deltaSeconds(argument) ?? 0)
      return
  }
}

/** The directives of a draft. */
export function finished(draft: ResponseDraft): ResponseDirectives {
  const { unqualifiedNoCache, unqualifiedPrivate, invalidSMaxAge, ...directives } = draft
  if (unqualifiedNoCache) directives.noCacheFields = []
  if (unqualifiedPrivate) directives.privateFields = []
  if (invalidSMaxAge) {
    // s-maxage also permits storing answers to authorized requests (§3.5). One that makes no sense only restricts.
    directives.sMaxAgeS = undefined
    directives.maxAgeS = 0
    directives.proxyRevalidate = true
  }
  return directives
}

/** With two values the first should count, or the response as stale (§4.2.1): stale, unless they agree. */
function lifetimeOf(earlier: number | undefined, seconds: number | undefined): number {
  return seconds === undefined || (earlier !== undefined && earlier !== seconds) ? 0 : seconds
}

/** The names in the argument of `no-cache` and `private`; undefined: the directive is unqualified. */
function fieldNames(argument: string | undefined): string[] | undefined {
  const names = argument === undefined ? undefined : tokenList(argument)
  return names === undefined || names.length === 0 ? undefined : names
}
