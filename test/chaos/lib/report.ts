import type { Row } from '../rows/row.ts'
import type { Environment } from './environment.ts'
import type { Measured } from './fault-run.ts'
import type { Gateway } from './gateways.ts'
import { POST_EVERY } from './open-loop.ts'
import type { Setting } from './protocol.ts'
import { PATIENCE_MS, RATE } from './rig.ts'
import { NORMAL } from './upstreams.ts'
import type { Cell, Line } from './verdict.ts'

export interface Report {
  readonly environment: Environment
  readonly runs: number
  /** Installed here and run. */
  readonly gateways: readonly Gateway[]
  readonly absent: readonly Gateway[]
  readonly rows: readonly Row[]
  readonly measured: readonly Measured[]
  readonly lines: readonly Line[]
}

/** The whole report as Markdown: what it was measured with, the figures, how each gateway was set up, what was done. */
export function markdown(report: Report): string {
  return [heading(report), figures(report), failures(report), settings(report), rows(report)]
    .filter((part) => part !== '')
    .join('\n\n')
}

function heading({ environment, runs, gateways, absent }: Report): string {
  const { date, cpu, cores, kernel, node, express } = environment
  const versions = gateways.map(({ name, version }) => `${name} ${version}`)
  const missing = absent.map(({ name, cure }) => `${name} was not installed where this was measured (${cure}).`)
  return [
    `Measured ${date} on ${cpu}, ${cores} cores, ${kernel}, Node ${node}, express ${express}; ${versions.join(', ')}.`,
    ...missing,
    '',
    `Open loop at ${RATE} requests a second (but for the overload), GET ${POST_EVERY - 1} : POST 1, client time-out ` +
      `${PATIENCE_MS / 1_000} s, three upstreams that take ${NORMAL.latencyMs} ms; ` +
      `${runs === 1 ? 'one run' : `the worse of ${runs} runs`}.`,
  ].join('\n')
}

function figures({ gateways, lines }: Report): string {
  const columns = ['row', 'figure', 'asked', ...gateways.map(({ name }) => name)]
  const body = lines.map(({ row, what, asked, cells }) => [
    row,
    what,
    asked,
    ...gateways.map(({ name }) => cellText(cells.get(name))),
  ])
  return `### Asked and measured\n\n${table(columns, body)}`
}

function cellText(cell: Cell | undefined): string {
  if (cell?.figure === undefined) return '–'
  return cell.ok === undefined ? cell.figure.text : `${cell.figure.text} · ${cell.ok ? 'ok' : '**MISS**'}`
}

function failures({ measured }: Report): string {
  const failed = measured.filter((each) => each.failure !== undefined)
  if (failed.length === 0) return ''
  const items = failed.map(({ row, gateway, failure }) => `- ${row.name}, ${gateway.name}: ${failure}`)
  return `### Not measured\n\n${items.join('\n')}`
}

function settings({ gateways }: Report): string {
  const items = gateways.flatMap(({ name, settings: words }) =>
    (['default', 'limit', 'adaptive'] as const satisfies readonly Setting[]).flatMap((setting) => {
      const text = words[setting]
      if (text === undefined) return []
      return [setting === 'default' ? `- ${name}: ${text}.` : `- ${name}, ${setting}: besides, ${text}.`]
    }),
  )
  return `### How they were set up\n\n${items.join('\n')}`
}

function rows(report: Report): string {
  return `### What was done\n\n${report.rows.map(({ name, does }) => `- **${name}**: ${does}`).join('\n')}`
}

function table(columns: readonly string[], body: readonly (readonly string[])[]): string {
  const lines = [columns, columns.map(() => '---'), ...body]
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')
}
