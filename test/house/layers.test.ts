import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Import, importsOf, packageOf, relativeTarget } from './imports.ts'
import { LAYERS, wrongEdge } from './layers.ts'
import { filesBelow, PACKAGES, type Package, ROOT, shown } from './repo.ts'

const byName = new Map(PACKAGES.map((each) => [each.name, each]))

/** One line a wrong import, so that a failure reads like a list of what to mend. */
function complaints(files: readonly string[], look: (file: string, each: Import) => string | undefined): string[] {
  return files.flatMap((file) =>
    importsOf(file).flatMap((each) => {
      const complaint = look(file, each)
      return complaint === undefined ? [] : [`${shown(file)}:${each.line} ${complaint}`]
    }),
  )
}

function sourcesOf(each: Package): string[] {
  return filesBelow(path.join(each.path, 'src'), /\.tsx?$/)
}

test('every package has a floor', () => {
  expect(PACKAGES.map((each) => each.folder).filter((folder) => LAYERS[folder] === undefined)).toEqual([])
})

describe.each(PACKAGES.map((each) => [each.name, each] as const))('%s', (_name, each) => {
  test('imports only what its floor allows', () => {
    const wrong = complaints(sourcesOf(each), (_file, { specifier, typeOnly }) => {
      const other = byName.get(packageOf(specifier) ?? '')
      if (other !== undefined && other !== each) return wrongEdge(each.folder, other.folder, typeOnly)
      if (other === each) return `imports its own package by name: use a relative path`
      if (specifier.startsWith('@postern/')) return `imports ${specifier}, which no package here is`
      return undefined
    })
    expect(wrong).toEqual([])
  })

  test('stays within its own folder with relative imports, and names the extension', () => {
    const source = path.join(each.path, 'src') + path.sep
    const wrong = complaints(sourcesOf(each), (file, { specifier }) => {
      const target = relativeTarget(file, specifier)
      if (target === undefined) return undefined
      if (!target.startsWith(source)) return `leaves src with ${specifier}`
      return /\.(?:tsx?|json)$/.test(specifier) ? undefined : `imports ${specifier} without its .ts`
    })
    expect(wrong).toEqual([])
  })

  test('lists exactly the dependencies that its sources import', () => {
    const imported = new Set<string>()
    for (const file of sourcesOf(each)) {
      for (const { specifier } of importsOf(file)) {
        const name = packageOf(specifier)
        if (name !== undefined) imported.add(name)
      }
    }
    const dependencies = Object.keys(each.manifest.dependencies ?? {})
    const allowed = new Set([...dependencies, ...Object.keys(each.manifest.peerDependencies ?? {})])
    expect({
      importedButNotListed: [...imported].filter((name) => !allowed.has(name)).sort(),
      listedButNotImported: dependencies.filter((name) => !imported.has(name)).sort(),
    }).toEqual({ importedButNotListed: [], listedButNotImported: [] })
  })
})

test('contracts depends on nothing', () => {
  const contracts = PACKAGES.find((each) => each.folder === 'contracts')!
  expect(contracts.manifest).not.toHaveProperty('dependencies')
  expect(contracts.manifest).not.toHaveProperty('peerDependencies')
})

test('contracts opens no socket, file or process', () => {
  const contracts = PACKAGES.find((each) => each.folder === 'contracts')!
  const doors = /^node:(?:net|tls|dgram|dns|fs|child_process|cluster|worker_threads|http|https|http2)(?:\/|$)/
  const wrong = complaints(sourcesOf(contracts), (_file, { specifier, typeOnly }) =>
    doors.test(specifier) && !typeOnly ? `imports ${specifier}` : undefined,
  )
  expect(wrong).toEqual([])
})

test('tests, examples and documentation use packages by their published names', () => {
  const files = [
    ...PACKAGES.flatMap((each) => filesBelow(path.join(each.path, 'test'), /\.[mc]?tsx?$/)),
    ...filesBelow(path.join(ROOT, 'test'), /\.[mc]?tsx?$/),
    ...filesBelow(path.join(ROOT, 'examples'), /\.[mc]?tsx?$/),
    ...filesBelow(path.join(ROOT, 'docs'), /\.[mc]?tsx?$/),
  ]
  const wrong = complaints(files, (file, { specifier }) => {
    const target = relativeTarget(file, specifier)
    if (target !== undefined) {
      const owner = PACKAGES.find((each) => target.startsWith(each.path + path.sep))
      const own = owner !== undefined && file.startsWith(owner.path + path.sep)
      return owner === undefined || own ? undefined : `reaches into ${owner.name} with ${specifier}`
    }
    const other = byName.get(packageOf(specifier) ?? '')
    if (other === undefined) return undefined
    const entry = specifier === other.name ? '.' : `.${specifier.slice(other.name.length)}`
    return other.manifest.exports?.[entry] === undefined
      ? `imports ${specifier}, which ${other.name} does not export`
      : undefined
  })
  expect(wrong).toEqual([])
})

test('no source imports the test kit', () => {
  const wrong = complaints(PACKAGES.flatMap(sourcesOf), (_file, { specifier }) =>
    specifier.startsWith('@postern/test-kit') ? `imports ${specifier}` : undefined,
  )
  expect(wrong).toEqual([])
})

describe('the rule itself', () => {
  test.each([
    ['proxy', 'contracts', false],
    ['gateway', 'proxy', false],
    ['gateway', 'redis', false],
    ['redis', 'cache', true],
    ['redis', 'contracts', false],
    ['cli', 'gateway', false],
  ])('%s may import %s', (from, to, typeOnly) => {
    expect(wrongEdge(from, to, typeOnly)).toBeUndefined()
  })

  test.each([
    ['proxy', 'balancer', true],
    ['contracts', 'proxy', true],
    ['redis', 'cache', false],
    ['redis', 'testing', true],
    ['proxy', 'redis', true],
    ['gateway', 'cli', true],
    ['novelty', 'contracts', true],
  ])('%s may not import %s', (from, to, typeOnly) => {
    expect(wrongEdge(from, to, typeOnly)).toBeTypeOf('string')
  })
})
