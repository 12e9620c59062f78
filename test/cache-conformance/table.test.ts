import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { groups } from './cases/all.ts'
import { notApplicable, notDone } from './not-applicable.ts'
import { renderTables } from './table.ts'

const PAGE = path.join(import.meta.dirname, '..', '..', 'docs', 'cache-conformance.md')
const BEGIN =
  '<!-- The rest of this page is made of the cases: vitest run test/cache-conformance/table.test.ts -u -->\n'
const page = readFileSync(PAGE, 'utf8')
const cases = groups.flatMap((group) => group.cases)

describe('docs/cache-conformance.md', () => {
  const rows = new Set([...page.matchAll(/^\| .* \| `([0-9]{4}-[^`]+)`[^|]*\|$/gm)].map((match) => match[1]!))

  test('has a row for every case', () => {
    expect(cases.map((each) => each.id).filter((id) => !rows.has(id))).toEqual([])
  })

  test('has a case for every row', () => {
    const ids = new Set(cases.map((each) => each.id))
    expect([...rows].filter((id) => !ids.has(id))).toEqual([])
  })

  test('says of every case what the case says', async () => {
    expect(page).toContain(BEGIN)
    const prose = page.slice(0, page.indexOf(BEGIN) + BEGIN.length)
    await expect(`${prose}\n${renderTables(groups, notApplicable, notDone)}`).toMatchFileSnapshot(PAGE)
  })
})

describe('the cases', () => {
  test('have ids of their own', () => {
    const ids = cases.map((each) => each.id)
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([])
  })

  test('name RFC and section in their ids', () => {
    const form = /^(?:9110|9111|9211|9213|5861|8246)-[1-9][0-9]*(?:\.[1-9][0-9]*){0,3}-[a-z0-9]+(?:-[a-z0-9]+)*$/
    expect(cases.map((each) => each.id).filter((id) => !form.test(id))).toEqual([])
  })

  test('say what they require in a sentence', () => {
    expect(cases.map((each) => each.says).filter((says) => !/^[\p{L}0-9].*\.$/u.test(says))).toEqual([])
  })

  test('prove something: none is without a step that could fail', () => {
    const empty = cases.filter(
      (each) =>
        ('steps' in each && each.steps.length === 0) ||
        ('variants' in each && !Object.values(each.variants).every((steps) => steps.length > 0)),
    )
    expect(empty.map((each) => each.id)).toEqual([])
  })
})
