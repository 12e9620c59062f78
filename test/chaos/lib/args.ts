import { parseArgs } from 'node:util'

export const USAGE = `pnpm chaos [options]

  --runs <n>         runs of each row; the worse one is reported (2)
  --only <regex>     of "<row>/<gateway>", for example --only kill, --only 'steady/(postern|nginx)'
  --write            put the report into docs/reliability.md; not with --only
  --strict           end with an error when Postern misses what is asked of it`

export interface Arguments {
  readonly runs: number
  readonly only: RegExp
  readonly write: boolean
  readonly strict: boolean
}

/** @throws Error with what is wrong with the command line */
export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    // `pnpm chaos -- --runs 1` hands the two dashes on.
    args: argv.filter((argument) => argument !== '--'),
    options: {
      runs: { type: 'string', default: '2' },
      only: { type: 'string' },
      write: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
    },
  })
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1 || runs > 20)
    throw new Error(`--runs ${values.runs}: use a number from 1 to 20`)
  if (values.write && values.only !== undefined) throw new Error('--write publishes a whole run: leave out --only')
  return { runs, only: new RegExp(values.only ?? '', 'i'), write: values.write, strict: values.strict }
}
