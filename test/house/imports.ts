import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import path from 'node:path'

export interface Import {
  /** As written: `./options.ts`, `node:http`, `@postern/contracts`, `undici`. */
  readonly specifier: string
  readonly line: number
  /** True for `import type` and `export type`, which leave nothing behind at run time. */
  readonly typeOnly: boolean
}

// The formatter puts every import at the start of its line, and every line of a block comment behind ` *`.
const STATEMENT = /^(import|export)\b([^'"`;]*?\bfrom\s*)?\s*(['"])([^'"\n]+)\3/gm
const DYNAMIC = /\bimport\(\s*(['"])([^'"\n]+)\1\s*[,)]/g

/** What a source file imports, static and dynamic. */
export function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  const found: Import[] = []
  const lineAt = (index: number) => text.slice(0, index).split('\n').length
  for (const match of text.matchAll(STATEMENT)) {
    if (match[1] === 'export' && match[2] === undefined) continue
    found.push({
      specifier: match[4]!,
      line: lineAt(match.index),
      typeOnly: /^\s*type\b/.test(match[2] ?? ''),
    })
  }
  for (const match of text.matchAll(DYNAMIC)) {
    const lineStart = text.lastIndexOf('\n', match.index) + 1
    const before = text.slice(lineStart, match.index)
    if (/^\s*(?:\*|\/\/|\/\*)/.test(before)) continue
    // `typeof import('x')` and `import('x').Type` in a type position load nothing, but they are edges all the same.
    found.push({ specifier: match[2]!, line: lineAt(match.index), typeOnly: /\btypeof\s*$/.test(before) })
  }
  return found
}

/** `@scope/name/deep` → `@scope/name`; undefined for relative paths and Node's own modules. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('/') || isBuiltin(specifier)) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Where a relative specifier leads; undefined for others. */
export function relativeTarget(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? path.resolve(path.dirname(file), specifier) : undefined
}
