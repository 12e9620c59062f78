/** What is asked of one figure. */
export interface Asked {
  readonly text: string
  /** @param nginx the same figure of nginx in this run; undefined when it was not measured */
  readonly holds: (value: number, nginx: number | undefined) => boolean
  /** True when it cannot be judged without nginx. */
  readonly needsNginx?: boolean
}

/** One number that a row has measured. */
export interface Figure {
  /** Number of the row in the list of what is to be reported. */
  readonly row: string
  readonly what: string
  readonly value: number
  readonly text: string
  /** Absent: told, but not judged. */
  readonly asked?: Asked
  /** Which is the worse of two. @default 'more' */
  readonly worse?: 'more' | 'less'
}

/** A count. */
export function count(row: string, what: string, value: number, asked?: Asked, detail = ''): Figure {
  const text = detail === '' || value === 0 ? String(value) : `${value} (${detail})`
  return { row, what, value, text, ...(asked === undefined ? {} : { asked }) }
}

/** A time in milliseconds. */
export function time(row: string, what: string, ms: number, asked?: Asked): Figure {
  return { row, what, value: ms, text: milliseconds(ms), ...(asked === undefined ? {} : { asked }) }
}

export function atMost(limit: number, text = `<= ${limit}`): Asked {
  return { text, holds: (value) => value <= limit }
}

export function below(limit: number, text: string): Asked {
  return { text, holds: (value) => value < limit }
}

export function atLeast(limit: number, text = `>= ${limit}`): Asked {
  return { text, holds: (value) => value >= limit }
}

export const NONE: Asked = atMost(0, '0')

/** The worse of the same figure of several runs; one without a value (NaN) is the worst. */
export function worst(figures: readonly Figure[]): Figure | undefined {
  return figures.reduce<Figure | undefined>((found, figure) => {
    if (found === undefined || Number.isNaN(figure.value)) return figure
    const isWorse = figure.worse === 'less' ? figure.value < found.value : figure.value > found.value
    return isWorse ? figure : found
  }, undefined)
}

function milliseconds(ms: number): string {
  if (Number.isNaN(ms)) return '–'
  if (ms === Number.POSITIVE_INFINITY) return 'never'
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
}
