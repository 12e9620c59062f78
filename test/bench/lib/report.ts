import type { ScenarioResult, Timing } from './measure.ts'
import type { Environment } from './prepare.ts'
import { median } from './stats.ts'
import { cpuOf, cpus, type Verdict } from './verdict.ts'

/** The whole report as Markdown: what it was measured with, a table a scenario, and the goals. */
export function markdown(
  environment: Environment,
  timing: Timing,
  results: readonly ScenarioResult[],
  verdicts: readonly Verdict[],
): string {
  return [
    heading(environment, timing),
    ...results.map(scenarioTable),
    ...(verdicts.length === 0 ? [] : [verdictTable(verdicts)]),
  ].join('\n\n')
}

function heading(environment: Environment, timing: Timing): string {
  const versions = Object.entries(environment.versions).map(([name, version]) => `${name} ${version}`)
  return [
    `Measured ${environment.date} on ${environment.cpu}, ${environment.cores} cores, ${environment.kernel}, ` +
      `Node ${environment.node.slice(1)}; ${versions.join(', ')}.`,
    '',
    'The gateway has one core to itself; the load generator and the upstream share the other. Each figure is the median ' +
      `of ${timing.rounds} interleaved rounds; a round starts a fresh process, warms it for ${timing.warmupMs / 1_000} s ` +
      `and ${timing.warmupRequests} requests at least, and measures for ${timing.measureMs / 1_000} s. CPU is user and system time of the gateway's processes per request, ` +
      'with the least and the most of the rounds in brackets; *busy* is the share of its core that it used. ' +
      'All connections ask again as soon as they are answered, so latencies are those of a gateway at its limit.',
  ].join('\n')
}

function scenarioTable(result: ScenarioResult): string {
  const { scenario, samples, failures } = result
  const base = cpuOf(result, scenario.baseline)
  const rows = scenario.contenders.map(({ name }) => {
    const failure = failures.get(name)
    if (failure !== undefined) return [name, `failed: ${failure}`, '', '', '', '', '', '']
    const of = samples.get(name) ?? []
    const cpu = cpuOf(result, name)
    return [
      name,
      cpu === undefined ? '–' : `${cpu.toFixed(1)} (${range(cpus(of))})`,
      cpu === undefined || base === undefined ? '–' : (cpu / base).toFixed(2),
      text(of.map((sample) => sample.requestsPerSecond)),
      text(
        of.map((sample) => sample.p50Ms),
        2,
      ),
      text(
        of.map((sample) => sample.p99Ms),
        2,
      ),
      text(of.flatMap((sample) => (sample.peakBytes === undefined ? [] : sample.peakBytes / 1_048_576))),
      text(of.flatMap((sample) => (sample.busy === undefined ? [] : sample.busy * 100))),
    ]
  })
  const columns = [
    'gateway',
    'CPU, µs a request',
    `× ${scenario.baseline}`,
    'requests/s',
    'p50, ms',
    'p99, ms',
    'peak memory, MiB',
    'busy, %',
  ]
  return `### ${scenario.title}\n\n${table(columns, rows)}`
}

function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ scenario, what, asked, measured, ok }) => [
    scenario,
    what,
    asked,
    measured,
    ok ? 'ok' : 'MISS',
  ])
  return `### Asked and measured\n\n${table(['scenario', 'what', 'asked', 'measured', ''], rows, 2)}`
}

/** The first `left` columns are text, the others figures. */
function table(columns: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const lines = [columns, columns.map((_, index) => (index < left ? '---' : '---:')), ...rows]
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')
}

function range(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}`
}

function text(values: readonly number[], digits = 0): string {
  const middle = median(values)
  return middle === undefined ? '–' : middle.toFixed(digits)
}
