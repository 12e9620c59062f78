import { type Case, type CaseGroup, sectionOf } from './case.ts'
import type { Exempt } from './not-applicable.ts'

/** The tables of docs/cache-conformance.md: a row a requirement, as the cases have them. */
export function renderTables(
  groups: readonly CaseGroup[],
  notApplicable: readonly Exempt[],
  notDone: readonly Exempt[],
): string {
  const parts = [`## The requirements\n\n${summary(groups, notApplicable, notDone)}`]
  for (const { title, file, cases } of groups) {
    const rows = cases.map((each) => [sectionOf(each.id), each.level, each.says, `\`${each.id}\`${count(each)}`])
    parts.push(
      `### ${title}\n\nIn \`test/cache-conformance/cases/${file}.ts\`.\n\n${table(['RFC', 'Level', 'Requirement', 'Proved by'], rows)}`,
    )
  }
  const exempt = (rows: readonly Exempt[]) =>
    table(
      ['RFC', 'Level', 'Requirement', 'Why not'],
      rows.map(({ section, level, says, why }) => [section, level, says, `because ${why}`]),
    )
  parts.push(`## Allowed and not done\n\n${exempt(notDone)}`)
  parts.push(`## Not applicable\n\n${exempt(notApplicable)}`)
  return `${parts.join('\n\n')}\n`
}

/** How many runs a case has, where it is more than one. */
function count(each: Case): string {
  return 'variants' in each ? `, ${Object.keys(each.variants).length} runs` : ''
}

function summary(groups: readonly CaseGroup[], notApplicable: readonly Exempt[], notDone: readonly Exempt[]): string {
  const cases = groups.flatMap((group) => group.cases)
  const runs = cases.reduce((sum, each) => sum + ('variants' in each ? Object.keys(each.variants).length : 1), 0)
  const of = (level: string) => cases.filter((each) => each.level === level).length
  return [
    `${cases.length} requirements, proved by ${runs} tests: ${of('MUST')} of level MUST, ${of('SHOULD')} SHOULD, ${of('MAY')} MAY`,
    ` (the negations included), and ${of('OWN')} OWN, which no RFC asks for. ${notDone.length} that are allowed are not done, and`,
    ` ${notApplicable.length} are for others.`,
  ].join('')
}

/** A table with columns as wide as their widest cell, as the formatter wants it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n')
}
