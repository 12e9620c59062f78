import type { Clock } from '@postern/contracts'
import * as v from 'valibot'

// Options that both middlewares have.

const NAME = 'not a name of 1 to 128 characters'

export function nameOption(standard: string) {
  return v.optional(v.pipe(v.string(NAME), v.nonEmpty(NAME), v.maxLength(128, NAME)), standard)
}

export const clockOption = v.optional(v.custom<Clock>(isClock, 'not a clock with now() and wallNow()'))

export const randomOption = v.optional(functionOption<() => number>(), () => Math.random)

export const errorsOption = v.optional(v.picklist(['respond', 'next'], 'not "respond" or "next"'), 'respond')

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

/** A number within bounds. */
export function within(least: number, most: number) {
  const wanted = `not a number from ${least} to ${most}`
  return v.pipe(
    v.number(wanted),
    v.check((value) => value >= least && value <= most, wanted),
  )
}

function isClock(value: unknown): boolean {
  const clock = value as Partial<Clock> | null
  return typeof clock === 'object' && typeof clock?.now === 'function' && typeof clock.wallNow === 'function'
}
