/** `pnpm chaos`: what clients see while upstreams fail, with Postern and beside others. See README.md beside this file. */
import { readArguments, USAGE } from './lib/args.ts'
import { killAll } from './lib/child.ts'
import { readEnvironment } from './lib/environment.ts'
import { faultRun } from './lib/fault-run.ts'
import { GATEWAYS } from './lib/gateways.ts'
import { writePage } from './lib/publish.ts'
import { markdown } from './lib/report.ts'
import { removeFolders } from './lib/rig.ts'
import { judge } from './lib/verdict.ts'
import { ROWS } from './rows/rows.ts'

/** Whatever happens, it ends by then. */
const LONGEST_MS = 3_600_000

// Progress goes to standard error, so that the report alone can be piped on.
const print = (line: string): void => console.error(line)

async function main(): Promise<number> {
  const { runs, only, write, strict } = readArguments(process.argv.slice(2))
  if (process.platform !== 'linux') throw new Error('the fault run needs Linux: it reads /proc and stops processes')
  const gateways = GATEWAYS.filter(({ version, name }) => {
    return version !== undefined && ROWS.some((row) => only.test(`${row.name}/${name}`))
  })
  const absent = GATEWAYS.filter(({ version }) => version === undefined)
  for (const { name, cure } of absent) print(`${name} is not installed and is left out: ${cure}`)
  const measured = await faultRun(ROWS, gateways, only, runs, print)
  if (measured.length === 0) throw new Error(`--only ${only.source} leaves nothing to run`)

  const lines = judge(measured)
  const rows = ROWS.filter((row) => measured.some((each) => each.row === row))
  const report = markdown({ environment: readEnvironment(), runs, gateways, absent, rows, measured, lines })
  print('')
  console.log(report)
  print('')
  let missed = false
  for (const { row, what, asked, cells } of lines) {
    for (const [name, { figure, ok }] of cells) {
      if (ok === undefined) continue
      print(`${row} | ${name} | ${what} | asked ${asked} | measured ${figure?.text} | ${ok ? 'ok' : 'MISS'}`)
      if (!ok && name === 'postern') missed = true
    }
  }
  const failed = measured.some(({ failure }) => failure !== undefined)
  if (write && failed) throw new Error('a row failed: docs/reliability.md was left as it is')
  if (write) writePage(report)
  return failed || (strict && missed) ? 1 : 0
}

process.once('exit', () => {
  killAll()
  removeFolders()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
setTimeout(() => {
  print(`chaos: not done after ${LONGEST_MS / 60_000} minutes`)
  process.exit(1)
}, LONGEST_MS).unref()

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`chaos: ${(error as Error).message}\n\n${USAGE}`)
  process.exitCode = 1
}
