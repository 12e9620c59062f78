import { readFileSync } from 'node:fs'

/** The names that a `src/index.ts` gives out. */
export interface IndexExports {
  readonly values: readonly string[]
  readonly types: readonly string[]
  /** Statements that are no list of named exports. */
  readonly odd: readonly string[]
}

/** Reads an index that consists of `export { … } from` and `export type { … } from` only. */
export function readIndex(file: string): IndexExports {
  const values: string[] = []
  const types: string[] = []
  let rest = readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  rest = rest.replaceAll(/^export\s+(type\s+)?\{([^}]*)\}(?:\s+from\s+'[^']+')?;?$/gm, (_whole, type, list: string) => {
    for (const item of list.split(',')) {
      const text = item.trim()
      if (text === '') continue
      const isType = type !== undefined || text.startsWith('type ')
      const name = text
        .replace(/^type\s+/, '')
        .split(/\s+as\s+/)
        .at(-1)!
      ;(isType ? types : values).push(name)
    }
    return ''
  })
  const odd = rest
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return { values: values.sort(), types: types.sort(), odd }
}
