import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { readIndex } from './index-exports.ts'
import { LAYERS } from './layers.ts'
import { PACKAGES, type Package, ROOT } from './repo.ts'

/** What a package exports beside its index: the suite that stores of others are held against. */
const FURTHER: Readonly<Record<string, readonly string[]>> = { cache: ['./conformance'] }

const LICENSE = readFileSync(path.join(ROOT, 'LICENSE'), 'utf8')
const NODE = '^22.23.2 || ^24.18.1 || >=26.5.1'

function readme(each: Package): string {
  const file = path.join(each.path, 'README.md')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/** Sections that the package's README owes its reader. */
function owedSections(each: Package): string[] {
  const { types } = readIndex(path.join(each.path, 'src', 'index.ts'))
  const sections = ['Install', 'Example']
  if (LAYERS[each.folder] !== 0) {
    if (types.some((name) => name.endsWith('Options'))) sections.push('Options')
    if (types.some((name) => name.endsWith('Handler'))) sections.push('Handles')
  }
  if (existsSync(path.join(each.path, 'src', 'problems.ts'))) sections.push('Errors')
  return sections
}

test('all packages have one version', () => {
  expect(new Set(PACKAGES.map((each) => each.manifest.version)).size).toBe(1)
})

test('the root builds every package', () => {
  const text = readFileSync(path.join(ROOT, 'tsconfig.json'), 'utf8')
  const { references } = JSON.parse(text) as { references: { path: string }[] }
  expect(references.map((each) => each.path).sort()).toEqual(PACKAGES.map((each) => `packages/${each.folder}`).sort())
})

describe.each(PACKAGES.map((each) => [each.name, each] as const))('%s', (_name, each) => {
  const { manifest } = each

  test('is named after its folder', () => {
    expect(each.name).toBe(`@postern/${each.folder}`)
    expect(manifest.description).toMatch(/\S{2,} \S/)
  })

  test('exports its sources to us, then types, then JavaScript, and nothing deeper', () => {
    expect(Object.keys(manifest.exports ?? {})).toEqual(['.', ...(FURTHER[each.folder] ?? []), './package.json'])
    expect(Object.entries(manifest.exports?.['.'] ?? {})).toEqual([
      ['@postern/source', './src/index.ts'],
      ['types', './dist/index.d.ts'],
      ['default', './dist/index.js'],
    ])
    for (const field of ['main', 'module', 'types'] as const) expect(manifest, field).not.toHaveProperty(field)
  })

  test('says what it is: ESM, free of side effects, MIT, for these versions of Node', () => {
    expect(manifest).toMatchObject({ type: 'module', sideEffects: false, license: 'MIT', engines: { node: NODE } })
    expect(manifest.private).toBeUndefined()
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'README.md', 'LICENSE']))
  })

  test('takes its siblings from the workspace', () => {
    const ours = Object.entries(manifest.dependencies ?? {}).filter(([name]) => name.startsWith('@postern/'))
    expect(ours.filter(([, range]) => range !== 'workspace:*')).toEqual([])
  })

  test('has the TypeScript references that its dependencies ask for', () => {
    const file = path.join(each.path, 'tsconfig.json')
    const { references = [] } = JSON.parse(readFileSync(file, 'utf8')) as { references?: { path: string }[] }
    const wanted = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@postern/'))
    expect(references.map((reference) => `@postern/${path.basename(reference.path)}`).sort()).toEqual(wanted.sort())
  })

  test('carries the licence of the root', () => {
    expect(readFileSync(path.join(each.path, 'LICENSE'), 'utf8')).toBe(LICENSE)
  })

  test('has a README with its name, what it is, and the sections that it owes', () => {
    const text = readme(each)
    expect(text, 'README.md starts with its name').toMatch(new RegExp(`^# ${each.name}\\n\\n[^#\\n]`))
    const headings = [...text.matchAll(/^## (.+)$/gm)].map((match) => match[1]!.trim())
    expect(owedSections(each).filter((section) => !headings.includes(section))).toEqual([])
    expect(text, 'Install shows the package').toContain(`npm install ${each.name}`)
  })
})
