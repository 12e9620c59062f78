import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { PROBLEM_PAGE, type ProblemDefinition } from '@postern/contracts'
import { beforeAll, expect, test } from 'vitest'
import { anchorsOf } from './markdown.ts'
import { PACKAGES, ROOT } from './repo.ts'

interface Problem extends ProblemDefinition {
  readonly code: string
  readonly owner: string
}

let problems: readonly Problem[] = []

beforeAll(async () => {
  const found: Problem[] = []
  for (const each of PACKAGES) {
    const file = path.join(each.path, 'src', 'problems.ts')
    if (!existsSync(file)) continue
    const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
    for (const exported of Object.values(module)) {
      if (!isTable(exported)) continue
      for (const [code, definition] of Object.entries(exported)) found.push({ ...definition, code, owner: each.name })
    }
  }
  problems = found
})

function isTable(value: unknown): value is Record<string, ProblemDefinition> {
  if (typeof value !== 'object' || value === null) return false
  const rows = Object.values(value) as unknown[]
  return (
    rows.length > 0 &&
    rows.every((row) => typeof row === 'object' && row !== null && 'status' in row && 'title' in row && 'detail' in row)
  )
}

const PAGE = path.join(ROOT, 'docs', 'problems.md')
/** Code → text of its section. */
const sections = new Map(
  readFileSync(PAGE, 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')).trim(), section] as const),
)

test('there are problems at all', () => {
  expect(problems.length).toBeGreaterThan(0)
})

test('every code has its heading in docs/problems.md', () => {
  const missing = problems.filter((each) => !sections.has(each.code))
  expect(missing.map((each) => `${each.code} (${each.owner})`)).toEqual([])
})

test('every heading in docs/problems.md is the code of a package', () => {
  const codes = new Set(problems.map((each) => each.code))
  expect([...sections.keys()].filter((heading) => !codes.has(heading))).toEqual([])
})

test('the anchor of every code is the code, as problem answers link to it', () => {
  const anchors = anchorsOf(PAGE)
  expect(problems.filter((each) => !anchors.has(each.code)).map((each) => each.code)).toEqual([])
})

test('no heading stands twice', () => {
  const headings = [...readFileSync(PAGE, 'utf8').matchAll(/^## (.+)$/gm)].map((match) => match[1]!)
  expect(headings.filter((heading, i) => headings.indexOf(heading) !== i)).toEqual([])
})

test('every section tells the status, and what to do', () => {
  const wrong = problems.flatMap(({ code, status }) => {
    const section = sections.get(code)
    if (section === undefined) return []
    const faults: string[] = []
    if (!section.includes(`**Status** ${status}`)) faults.push(`${code}: no "**Status** ${status}"`)
    for (const label of ['**What happened**', '**Who**', '**What to do**']) {
      if (!section.includes(label)) faults.push(`${code}: no "${label}"`)
    }
    return faults
  })
  expect(wrong).toEqual([])
})

test('a code has one meaning, whichever package answers with it', () => {
  const first = new Map<string, Problem>()
  const clashes: string[] = []
  for (const each of problems) {
    const other = first.get(each.code)
    if (other === undefined) first.set(each.code, each)
    else if (other.status !== each.status || other.title !== each.title || other.detail !== each.detail) {
      clashes.push(`${each.code}: ${other.owner} and ${each.owner} differ`)
    }
  }
  expect(clashes).toEqual([])
})

test('every definition can be shown to a client', () => {
  for (const { code, status, title, detail } of problems) {
    expect(code).toMatch(/^[a-z]+(?:_[a-z]+)*$/)
    expect(status, code).toBeGreaterThanOrEqual(400)
    expect(status, code).toBeLessThanOrEqual(599)
    expect(title, code).toMatch(/^[A-Z][^.]*$/)
    expect(detail, code).toMatch(/\.$/)
    expect(`${title} ${detail}`, code).not.toMatch(/\$\{|undefined|\d+\.\d+\.\d+\.\d+|ECONN|\bat \S+:\d+/)
  }
})

test('the page that a problem answer points to is the one that exists', () => {
  expect(PROBLEM_PAGE).toMatch(/^https:\/\/[^/]+\/problems#$/)
})
