import { type Dictionary, parseDictionary } from 'structured-headers'
import type { CacheRules } from './cache-rules.ts'
import { readDirectives } from './directive-list.ts'
import {
  finished,
  parseResponseDirectives,
  type ResponseDirectives,
  responseDraft,
  takeResponseDirective,
} from './directives.ts'
import { fieldValue } from './field-list.ts'

/** Longer fields are not parsed but taken as `no-store`, so that no response can keep the cache busy with one. */
const LONGEST_TARGETED = 16_384

/** The directives that a response is to be judged by. */
export interface ControllingDirectives {
  /** Undefined: the response has no directives. */
  readonly directives: ResponseDirectives | undefined
  /** The targeted field that they are from; undefined: they are from Cache-Control. */
  readonly targeted: string | undefined
}

/**
 * The directives that a response is to be judged by: those of the first targeted field on the list that is valid and
 * not empty, or else those of Cache-Control. With a targeted field, Cache-Control and Expires say nothing to this
 * cache.
 *
 * @see RFC 9213 §2.2
 */
export function controllingDirectives(headers: readonly string[], rules: CacheRules): ControllingDirectives {
  for (const targeted of rules.targeted) {
    const value = fieldValue(headers, targeted)
    const directives = value === undefined ? undefined : parseTargeted(value)
    if (directives !== undefined) return { directives, targeted }
  }
  const value = fieldValue(headers, 'cache-control')
  return { directives: value === undefined ? undefined : parseResponseDirectives(value), targeted: undefined }
}

/**
 * Reads a targeted field, a dictionary of RFC 9651; undefined when it is empty or not one, and then it must be ignored.
 *
 * Members that are no known directive and all parameters are ignored. A known directive with a value of another type
 * than its own is not what it says but is still there, so it is taken at its strictest: a max-age that is no whole
 * number is 0, `private` with anything but true or a string of field names is unqualified, `public=?0` permits nothing.
 *
 * @see RFC 9213 §2.1
 */
export function parseTargeted(value: string): ResponseDirectives | undefined {
  const draft = responseDraft()
  if (value.length > LONGEST_TARGETED) {
    takeResponseDirective(draft, 'no-store', undefined, false)
    return finished(draft)
  }
  const members = dictionaryOf(value)
  if (members === undefined || members.size === 0) return undefined
  const decimals = value.includes('.') ? decimalMembers(value) : undefined
  for (const [name, [item]] of members) {
    const argument = argumentOf(name, item, decimals)
    takeResponseDirective(draft, name, argument, argument === undefined && item !== true)
  }
  return finished(draft)
}

/**
 * What stands behind `=` in Cache-Control; undefined as well when the value is of another type than the directive's.
 */
function argumentOf(name: string, item: unknown, decimals: ReadonlySet<string> | undefined): string | undefined {
  switch (name) {
    case 'no-cache':
    case 'private':
      return typeof item === 'string' ? item : undefined
    case 'max-age':
    case 's-maxage':
    case 'stale-while-revalidate':
    case 'stale-if-error':
      return Number.isInteger(item) && !decimals?.has(name) ? String(item) : undefined
    default:
      return undefined
  }
}

function dictionaryOf(value: string): Dictionary | undefined {
  try {
    return parseDictionary(value)
  } catch {
    return undefined
  }
}

/** Members written with a decimal point: once parsed, `3600.0` and `3600` are the same number. */
function decimalMembers(value: string): Set<string> {
  const decimals = new Set<string>()
  // Parameters are no part of Cache-Control; so each of them is read as one more directive, which does no harm here.
  readDirectives(value.replaceAll(';', ','), noteDecimal, decimals)
  return decimals
}

function noteDecimal(decimals: Set<string>, name: string, argument: string | undefined): void {
  if (argument?.includes('.')) decimals.add(name)
}
