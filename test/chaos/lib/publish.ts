import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './peers.ts'

const PAGE = join(ROOT, 'docs', 'reliability.md')
const START = '<!-- chaos:start -->'
const END = '<!-- chaos:end -->'

/** Puts the report between the markers of docs/reliability.md, and makes the page when there is none. */
export function writePage(report: string): void {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : `# Reliability\n\n${START}\n${END}\n`
  const from = page.indexOf(START)
  const to = page.indexOf(END)
  if (from === -1 || to < from) throw new Error(`docs/reliability.md has no ${START} and ${END} to write between`)
  writeFileSync(PAGE, `${page.slice(0, from + START.length)}\n\n${report}\n\n${page.slice(to)}`)
}
