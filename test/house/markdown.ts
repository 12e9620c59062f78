import { readFileSync } from 'node:fs'
import { slug } from '../../docs/.vitepress/slug.ts'

/** A fenced block of code. */
export interface Fence {
  /** Absolute path. */
  readonly file: string
  /** Line of the opening fence. */
  readonly line: number
  /** First word behind the fence: `ts`. */
  readonly language: string
  /** The other words: `run`, `no-check`. */
  readonly words: readonly string[]
  readonly code: string
}

/** The fences of a Markdown file, in order. */
export function fencesOf(file: string): Fence[] {
  const fences: Fence[] = []
  let open: { mark: string; indent: string; line: number; info: string; code: string[] } | undefined
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((text, i) => {
      if (open === undefined) {
        const match = /^([ \t]*)(`{3,}|~{3,})(.*)$/.exec(text)
        if (match !== null) open = { indent: match[1]!, mark: match[2]!, info: match[3]!.trim(), line: i + 1, code: [] }
        return
      }
      if (text.trim() === open.mark) {
        const [language = '', ...words] = open.info.split(/\s+/)
        fences.push({ file, line: open.line, language, words, code: `${open.code.join('\n')}\n` })
        open = undefined
        return
      }
      open.code.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text)
    })
  if (open !== undefined) throw new Error(`${file}:${open.line} the fence is never closed`)
  return fences
}

/** The text with fences and inline code blanked, line for line. */
export function proseOf(file: string): string[] {
  const fences = fencesOf(file)
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((text, i) => {
      const line = i + 1
      const inside = fences.some((each) => line >= each.line && line <= each.line + each.code.split('\n').length)
      return inside ? '' : text.replaceAll(/`[^`]*`/g, (code) => ' '.repeat(code.length))
    })
}

/** The anchors of a Markdown file's headings, as GitHub and VitePress make them. */
export function anchorsOf(file: string): Set<string> {
  const anchors = new Set<string>()
  const fences = fencesOf(file)
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((text, i) => {
      if (fences.some((each) => i + 1 >= each.line && i + 1 <= each.line + each.code.split('\n').length)) return
      const heading = /^#{1,6} +(.+?)(?: +\{#([^}]+)\})?$/.exec(text)
      if (heading === null) return
      anchors.add(heading[2] ?? slug(heading[1]!))
    })
  return anchors
}
