/** `pnpm bench`: measures Postern against its peers. See README.md beside this file. */
import { readArguments, USAGE } from './lib/args.ts'
import { CHECKS } from './lib/checks.ts'
import { measureScenario, type ScenarioResult } from './lib/measure.ts'
import { buildPackages, checkMachine, installPeers, readEnvironment } from './lib/prepare.ts'
import { keepResults, writePage } from './lib/publish.ts'
import { markdown } from './lib/report.ts'
import { selectScenarios, withoutAbsent } from './lib/scenarios.ts'
import { judge, type Verdict } from './lib/verdict.ts'

// Progress goes to standard error, so that the report alone can be piped on.
const print = (line: string): void => console.error(line)

async function main(): Promise<number> {
  const { timing, only, write, strict, build } = readArguments(process.argv.slice(2))
  const scenarios = selectScenarios(only)
  const checks = CHECKS.filter(({ name }) => only.test(name))
  if (scenarios.length === 0 && checks.length === 0) throw new Error(`--only ${only.source} leaves nothing to run`)
  checkMachine()
  installPeers(print)
  if (build) buildPackages(print)
  const environment = readEnvironment()

  const results: ScenarioResult[] = []
  const verdicts: Verdict[] = []
  for (const scenario of scenarios) {
    const result = await measureScenario(withoutAbsent(scenario, print), timing, print)
    results.push(result)
    verdicts.push(...judge(result))
  }
  for (const { run } of checks) verdicts.push(...(await run(print, timing)))

  const report = markdown(environment, timing, results, verdicts)
  print('')
  console.log(report)
  print('')
  for (const { scenario, what, asked, measured, ok } of verdicts) {
    print(`${scenario}: ${what}: asked ${asked} / measured ${measured} / ${ok ? 'ok' : 'MISS'}`)
  }
  print(`every sample: ${keepResults(environment, timing, results, verdicts)}`)
  const failed = results.some((result) => result.failures.size > 0)
  if (write && failed) throw new Error('a gateway failed: docs/benchmarks.md was left as it is')
  if (write) writePage(report)
  const missed = verdicts.some((verdict) => !verdict.ok)
  return failed || (strict && missed) ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`bench: ${(error as Error).message}\n\n${USAGE}`)
  process.exitCode = 1
}
