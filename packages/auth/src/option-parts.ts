import type { Clock } from '@postern/contracts'
import * as v from 'valibot'

// Schemas that several options share.

export const MAX_MS = 2 ** 31 - 1

/** A function, whatever it takes and returns. */
export function functionOption<Callable>() {
  return v.custom<Callable>((value) => typeof value === 'function', 'not a function')
}

/** A whole number within bounds. */
export function whole(least: number, most: number) {
  const wanted = `not a whole number from ${least} to ${most}`
  return v.pipe(
    v.number(wanted),
    v.check((value) => Number.isInteger(value) && value >= least && value <= most, wanted),
  )
}

export const milliseconds = whole(0, MAX_MS)

/** The name of a header field; lower case when it is resolved. */
export const fieldName = v.pipe(
  v.string('not a field name'),
  v.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, 'not a field name'),
  v.transform((name) => name.toLowerCase()),
)

export const clockOption = v.optional(v.custom<Clock>(isClock, 'not a clock with now() and wallNow()'))

function isClock(value: unknown): boolean {
  const clock = value as Partial<Clock> | null
  return typeof clock === 'object' && typeof clock?.now === 'function' && typeof clock.wallNow === 'function'
}

const NAME = 'not a name of 1 to 128 characters'

/** The name of a scheme or a stage. */
export const name = v.pipe(v.string(NAME), v.nonEmpty(NAME), v.maxLength(128, NAME))

/** {@link name}, with a default. */
export function nameOption(standard: string) {
  return v.optional(name, standard)
}

export const errorsOption = v.optional(v.picklist(['respond', 'next'], 'not "respond" or "next"'), 'respond')

/** The realm of a challenge (RFC 9110 §11.5): it stands in quotes, so it has none, and no backslash, of its own. */
export const realmOption = v.optional(
  v.pipe(
    v.string('not a text'),
    v.regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'not 1 to 128 visible ASCII characters without " and \\'),
  ),
  'api',
)
