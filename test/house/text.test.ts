import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { anchorsOf, proseOf } from './markdown.ts'
import { markdownFiles, PACKAGES, ROOT, readManifest, repositoryFiles, shown } from './repo.ts'

const TEXT = /\.(?:ts|tsx|mts|js|mjs|json|md|ya?ml|html|css|vue|sh|txt|conf|cfg)$|(?:^|\/)(?:LICENSE|run)$/

/** Every line of the repository's text, with its place. */
async function* lines(match: RegExp): AsyncGenerator<{ place: string; file: string; text: string }> {
  for (const file of await repositoryFiles()) {
    if (!match.test(file) || file.endsWith('pnpm-lock.yaml')) continue
    const content = readFileSync(path.join(ROOT, file), 'utf8').split('\n')
    for (const [i, text] of content.entries()) yield { place: `${file}:${i + 1}`, file, text }
  }
}

test('no file names a path of one machine', async () => {
  // Written apart, so that this line is none.
  const machine = /(?:^|[\s'"`(=:])\/(?:tm[p]|wor[k]|roo[t]|far[m]|User[s])\/\w/
  const found: string[] = []
  for await (const { place, text } of lines(TEXT)) if (machine.test(text)) found.push(`${place} ${text.trim()}`)
  expect(found).toEqual([])
})

test('no test is skipped, focused or left to do', async () => {
  const marks = /\b(?:it|test|describe)(?:\.\w+)*\.(?:ski[p]|onl[y]|tod[o])\b/
  const found: string[] = []
  for await (const { place, text } of lines(/\.test\.tsx?$/))
    if (marks.test(text)) found.push(`${place} ${text.trim()}`)
  expect(found).toEqual([])
})

test('nothing in the sources is left open', async () => {
  const marks = /\b(?:TOD[O]|FIXM[E]|XX[X])\b|not implemented/
  const found: string[] = []
  for await (const { place, text } of lines(/^(?:packages|examples)\/.*\.tsx?$/)) {
    if (marks.test(text)) found.push(`${place} ${text.trim()}`)
  }
  expect(found).toEqual([])
})

describe('Markdown', () => {
  const docs = path.join(ROOT, 'docs')

  /** The file that a link leads to, or undefined when there is none. */
  function resolveLink(from: string, target: string): string | undefined {
    // In the documentation a leading slash means its own root, and pages go without their extension.
    const base = target.startsWith('/') ? path.join(docs, target) : path.resolve(path.dirname(from), target)
    const inDocs = from.startsWith(docs + path.sep)
    const tries = [
      base,
      ...(inDocs ? [`${base}.md`, path.join(base, 'index.md'), path.join(docs, 'public', target)] : []),
    ]
    return tries.find((each) => existsSync(each))
  }

  test('every relative link leads somewhere, to its heading too', () => {
    const broken: string[] = []
    for (const file of markdownFiles()) {
      for (const [i, text] of proseOf(file).entries()) {
        for (const match of text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)|\b(?:href|src)="([^"]+)"/g)) {
          const link = match[1] ?? match[2]!
          if (/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(link)) continue
          const [target = '', anchor] = decodeURI(link).split('#')
          const found = target === '' ? file : resolveLink(file, target)
          const place = `${shown(file)}:${i + 1} ${link}`
          if (found === undefined) broken.push(place)
          else if (
            anchor !== undefined &&
            statSync(found).isFile() &&
            found.endsWith('.md') &&
            !anchorsOf(found).has(anchor)
          ) {
            broken.push(`${place} (no such heading)`)
          }
        }
      }
    }
    expect(broken).toEqual([])
  })

  test('names only packages that exist', () => {
    const known = new Set([
      ...PACKAGES.map((each) => each.name),
      readManifest(path.join(ROOT, 'test', 'kit')).name,
      // The export condition that leads to the sources.
      '@postern/source',
    ])
    const unknown: string[] = []
    for (const file of markdownFiles()) {
      for (const [i, text] of readFileSync(file, 'utf8').split('\n').entries()) {
        for (const [name] of text.matchAll(/@postern\/[a-z][a-z0-9-]*/g)) {
          if (!known.has(name)) unknown.push(`${shown(file)}:${i + 1} ${name}`)
        }
      }
    }
    expect(unknown).toEqual([])
  })
})
