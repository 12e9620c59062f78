import { parseArgs } from 'node:util'
import type { Timing } from './measure.ts'

export const USAGE = `pnpm bench [options]

  --quick            2 rounds of 2 s, 12 slices: to see that everything runs, not to measure
  --rounds <n>       rounds of each scenario (5)
  --seconds <n>      length of a measured window (4)
  --warmup <n>       seconds before it (3)
  --only <regex>     of "<scenario>/<gateway>", "choice", "auth-added", "auth-alone", "auth-memory", "auth-timing",
                     "memory" and "cache-memory", for example --only 1kb, --only '^memory'
  --write            put the table into docs/benchmarks.md
  --strict           end with an error when a goal is missed
  --no-build         measure dist as it is`

export interface Arguments {
  readonly timing: Timing
  readonly only: RegExp
  readonly write: boolean
  readonly strict: boolean
  readonly build: boolean
}

/** @throws Error with what is wrong with the command line */
export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    // `pnpm bench -- --quick` hands the two dashes on.
    args: argv.filter((argument) => argument !== '--'),
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      warmup: { type: 'string' },
      only: { type: 'string' },
      write: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      'no-build': { type: 'boolean', default: false },
    },
  })
  if (values.write && (values.quick || values.only !== undefined)) {
    throw new Error('--write publishes a whole run: leave out --quick and --only')
  }
  return {
    timing: {
      rounds: positive('rounds', values.rounds, values.quick ? 2 : 5),
      measureMs: 1_000 * positive('seconds', values.seconds, values.quick ? 2 : 4),
      warmupRequests: values.quick ? 2_000 : 20_000,
      slices: values.quick ? 12 : 120,
      warmupMs: 1_000 * positive('warmup', values.warmup, values.quick ? 1 : 3),
    },
    only: new RegExp(values.only ?? '', 'i'),
    write: values.write,
    strict: values.strict,
    build: !values['no-build'],
  }
}

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  const ok = value > 0 && value <= 1_000 && (name !== 'rounds' || Number.isInteger(value))
  if (!ok) throw new Error(`--${name} ${text}: use a number from 1 to 1000`)
  return value
}
