import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ScenarioResult, Timing } from './measure.ts'
import { type Environment, ROOT } from './prepare.ts'
import type { Verdict } from './verdict.ts'

const RESULTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'results')
const PAGE = join(ROOT, 'docs', 'benchmarks.md')
const START = '<!-- bench:start -->'
const END = '<!-- bench:end -->'

/** Keeps every sample of a run in `results/`, which git ignores. Returns the file's name. */
export function keepResults(
  environment: Environment,
  timing: Timing,
  results: readonly ScenarioResult[],
  verdicts: readonly Verdict[],
): string {
  const scenarios = results.map(({ scenario, samples, failures }) => ({
    name: scenario.name,
    baseline: scenario.baseline,
    samples: Object.fromEntries(samples),
    failures: Object.fromEntries(failures),
  }))
  mkdirSync(RESULTS, { recursive: true })
  const name = `${new Date().toISOString().replaceAll(':', '-').slice(0, 19)}.json`
  writeFileSync(join(RESULTS, name), `${JSON.stringify({ environment, timing, scenarios, verdicts }, null, 2)}\n`)
  return `test/bench/results/${name}`
}

/** Puts the report between the markers of docs/benchmarks.md, and makes the page when there is none. */
export function writePage(report: string): void {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : `# Benchmarks\n\n${START}\n${END}\n`
  const from = page.indexOf(START)
  const to = page.indexOf(END)
  if (from === -1 || to < from) throw new Error(`docs/benchmarks.md has no ${START} and ${END} to write between`)
  writeFileSync(PAGE, `${page.slice(0, from + START.length)}\n\n${report}\n\n${page.slice(to)}`)
}
