import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readIndex } from './index-exports.ts'
import { PACKAGES } from './repo.ts'

/**
 * The public surface, name by name. A change here is a change for users: `vitest run test/house/exports -u` takes it
 * over, and the commit says why.
 */
describe.each(PACKAGES.map((each) => [each.name, each] as const))('%s', (_name, each) => {
  const index = path.join(each.path, 'src', 'index.ts')
  const { values, types, odd } = readIndex(index)

  test('has an index of named exports only', () => {
    expect(odd).toEqual([])
  })

  test('gives out at run time what its index lists', async () => {
    const module = (await import(pathToFileURL(index).href)) as object
    expect(Object.keys(module).sort()).toEqual(values)
  })

  test('gives out the names of the snapshot', async () => {
    // Plain lines, which no formatter touches and of which a diff shows exactly the names that changed.
    const surface = [...values.map((name) => `value ${name}`), ...types.map((name) => `type ${name}`), ''].join('\n')
    await expect(surface).toMatchFileSnapshot(`__snapshots__/exports/${each.folder}.txt`)
  })
})
