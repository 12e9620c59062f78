import { isRefusedTarget, type PathPolicy, parseRequestTarget } from '@postern/contracts'
import type { Token } from 'path-to-regexp'
import type { Params } from './captures.ts'
import { type Pattern, PatternError, tokensOf } from './pattern.ts'
import { encodePath } from './text.ts'

/** A path with places for parameters. */
export interface Template {
  readonly tokens: readonly Token[]
  /** False: the same text for every request. */
  readonly dynamic: boolean
}

/**
 * Reads a template and checks it against the pattern whose parameters it uses.
 *
 * @throws PatternError
 */
export function readTemplate(text: string, pattern: Pattern, policy: PathPolicy): Template {
  if (!text.startsWith('/')) throw new PatternError('does not start with "/"')
  if (/[#\\\p{Cc}]/u.test(text)) throw new PatternError('"#", a backslash or a control character')
  const tokens = tokensOf(text).map(encodeToken)
  check(tokens, pattern, false)
  const template = { tokens, dynamic: hasParams(tokens) }
  const all: Params = Object.create(null)
  const least: Params = Object.create(null)
  for (const [name, { kind, always }] of pattern.params) {
    all[name] = kind === 'param' ? 'x' : ['x']
    if (always) least[name] = all[name]
  }
  for (const params of [all, least]) {
    const target = parseRequestTarget(render(template, params) || '/', policy)
    if (isRefusedTarget(target)) throw new PatternError(`makes a path that is refused: ${target.refused}`)
  }
  return template
}

/**
 * Fills the template. Parameters must be escaped already; an optional group whose parameters are absent is left out.
 *
 * @param params raw parameters, see `captureParams()`
 */
export function render(template: Template, params: Params): string {
  return renderTokens(template.tokens, params, true)
}

function renderTokens(tokens: readonly Token[], params: Params, isEnd: boolean): string {
  let path = ''
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    const isLast = isEnd && i === tokens.length - 1
    if (token.type === 'text') path += token.value
    else if (token.type === 'group') {
      if (isComplete(token.tokens, params)) path += renderTokens(token.tokens, params, isLast)
    } else {
      const value = params[token.name]
      if (value !== undefined) path += typeof value === 'string' ? value : joined(value, isLast)
    }
  }
  return path
}

/** The slash behind a wildcard that took the path's last one stays at the end only; elsewhere it would be a second. */
function joined(segments: readonly string[], isLast: boolean): string {
  return (isLast || segments.at(-1) !== '' ? segments : segments.slice(0, -1)).join('/')
}

function isComplete(tokens: readonly Token[], params: Params): boolean {
  return tokens.every((token) => token.type === 'text' || token.type === 'group' || params[token.name] !== undefined)
}

function encodeToken(token: Token): Token {
  if (token.type === 'text') return { type: 'text', value: encodePath(token.value) }
  return token.type === 'group' ? { type: 'group', tokens: token.tokens.map(encodeToken) } : token
}

function hasParams(tokens: readonly Token[]): boolean {
  return tokens.some((token) => token.type !== 'text')
}

function check(tokens: readonly Token[], pattern: Pattern, inGroup: boolean): void {
  for (const token of tokens) {
    if (token.type === 'text') continue
    if (token.type === 'group') {
      check(token.tokens, pattern, true)
      continue
    }
    const known = pattern.params.get(token.name)
    const names = [...pattern.params].map(([name, { kind }]) => `${kind === 'param' ? ':' : '*'}${name}`)
    if (known === undefined) {
      const cure = names.length === 0 ? 'the route has no parameters' : `the route has ${names.join(', ')}`
      throw new PatternError(`unknown parameter "${token.name}"`, cure)
    }
    if (known.kind !== token.type) {
      throw new PatternError(
        `"${token.name}" is a ${known.kind}`,
        `write ${known.kind === 'param' ? ':' : '*'}${token.name}`,
      )
    }
    if (!known.always && !inGroup) {
      throw new PatternError(`"${token.name}" may be absent`, `put it into an optional group: {/:${token.name}}`)
    }
  }
}
