import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fence, fencesOf } from './markdown.ts'
import { markdownFiles, ROOT, run, shown, tool } from './repo.ts'

/**
 * Every ```ts and ```js fence of the README files and the documentation is a module of its own. All are type-checked;
 * those marked `ts run` are run and must end with exit code 0. `ts no-check` is for signatures, which are no program.
 */
const LANGUAGES = new Map([
  ['ts', 'ts'],
  ['js', 'js'],
  ['typescript', 'ts'],
  ['javascript', 'js'],
])
const fences = markdownFiles()
  .flatMap(fencesOf)
  .filter((each) => LANGUAGES.has(each.language))
const checked = fences.filter((each) => !each.words.includes('no-check'))
const runnable = checked.filter((each) => each.words.includes('run'))

// Inside the repository, so that packages resolve; with a leading dot, so that no other tool picks it up.
const folder = path.join(ROOT, 'test', 'house', `.fences-${process.pid}`)

function nameOf(fence: Fence): string {
  const place = shown(fence.file).replaceAll(/[^A-Za-z0-9]+/g, '-')
  return `${place}-${fence.line}.${LANGUAGES.get(fence.language)!}`
}

beforeAll(() => {
  mkdirSync(folder, { recursive: true })
  for (const fence of checked) writeFileSync(path.join(folder, nameOf(fence)), fence.code)
  const config = {
    extends: '../../../tsconfig.base.json',
    compilerOptions: {
      composite: false,
      declaration: false,
      noEmit: true,
      allowJs: true,
      moduleDetection: 'force',
      paths: { '@postern/*': ['../../../packages/*/src/index.ts'] },
    },
    include: ['*.ts', '*.js'],
  }
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config))
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('code in README files and documentation', () => {
  test('exists, and most of it is checked', () => {
    const unchecked = fences.length - checked.length
    console.log(
      `${fences.length} fences: ${checked.length} type-checked, ${runnable.length} run, ${unchecked} no-check`,
    )
    expect(checked.length).toBeGreaterThan(0)
    expect(unchecked).toBeLessThanOrEqual(checked.length)
  })

  test('uses only the words that mean something', () => {
    const known = new Set(['run', 'no-check'])
    const odd = fences.flatMap((each) =>
      each.words.filter((word) => !known.has(word)).map((word) => `${shown(each.file)}:${each.line} ${word}`),
    )
    expect(odd).toEqual([])
  })

  test('type-checks', async () => {
    const { code, output } = await run(process.execPath, [tool('typescript', 'tsc'), '-p', folder, '--pretty', 'false'])
    // Errors are told at the line of the Markdown file.
    const places = new Map(checked.map((each) => [nameOf(each), each]))
    const readable = output.replaceAll(
      /^(?:.*\/)?([^/\s(]+)\((\d+),(\d+)\)/gm,
      (whole, file: string, line: string, column) => {
        const fence = places.get(file)
        return fence === undefined ? whole : `${shown(fence.file)}:${fence.line + Number(line)}:${column}`
      },
    )
    expect(code, readable).toBe(0)
  })

  test.for(runnable.map((each) => [`${shown(each.file)}:${each.line}`, each] as const))(
    '%s runs',
    async ([, fence]) => {
      const { code, output } = await run(
        process.execPath,
        ['--conditions=@postern/source', path.join(folder, nameOf(fence))],
        { timeoutMs: 20_000 },
      )
      expect(code, output).toBe(0)
    },
  )
})
