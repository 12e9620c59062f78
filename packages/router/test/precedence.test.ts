import { exchangeOf } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ExplainRequest, type Route, type RouterHandler, router } from '../src/index.ts'
import { ask, serve } from './support.ts'

const handlers = () => {}

/** The id of the route that a request gets. */
function winner(routes: readonly Route[], request: ExplainRequest): string | undefined {
  return router(routes).explain(request).winner?.id
}

function named(id: string, route: Omit<Route, 'id'>): Route {
  return { handlers, ...route, id }
}

describe('precedence', () => {
  it('puts a whole path before every prefix', () => {
    const routes = [named('prefix', { prefix: '/a' }), named('path', { path: '/:x' })]
    expect(winner(routes, { url: '/a' })).toBe('path')
  })

  it('puts the longer prefix before the shorter, even where its segments are parameters', () => {
    const routes = [named('short', { prefix: '/a' }), named('long', { prefix: '/:t/x' }), named('any', {})]
    expect(winner(routes, { url: '/a/x/y' })).toBe('long')
    expect(winner(routes, { url: '/a/y' })).toBe('short')
    expect(winner(routes, { url: '/b' })).toBe('any')
  })

  it('puts text before text with parameters, that before a parameter, and that before a wildcard', () => {
    const routes = [
      named('wild', { path: '/*x' }),
      named('param', { path: '/:x' }),
      named('mixed', { path: '/a:x' }),
      named('more', { path: '/ab:x' }),
      named('static', { path: '/abc' }),
      named('prefix', { prefix: '/' }),
    ]
    expect(winner(routes, { url: '/abc' })).toBe('static')
    expect(winner(routes, { url: '/abx' })).toBe('more')
    expect(winner(routes, { url: '/ax' })).toBe('mixed')
    expect(winner(routes, { url: '/x' })).toBe('param')
    expect(winner(routes, { url: '/x/y' })).toBe('wild')
    expect(winner(routes, { url: '/' })).toBe('prefix')
  })

  it('goes on with the less specific branch when the more specific one ends nowhere', () => {
    const routes = [named('static', { path: '/a/b/c' }), named('param', { path: '/:x/b/d' })]
    expect(winner(routes, { url: '/a/b/d' })).toBe('param')
  })

  it('ends a prefix at a segment', () => {
    const routes = [named('api', { prefix: '/api' })]
    expect(winner(routes, { url: '/api' })).toBe('api')
    expect(winner(routes, { url: '/api/' })).toBe('api')
    expect(winner(routes, { url: '/api/x' })).toBe('api')
    expect(winner(routes, { url: '/apiary' })).toBeUndefined()
    expect(winner([named('api', { prefix: '/api/' })], { url: '/api' })).toBe('api')
  })

  it('puts host before path, exact before wildcard, longer before shorter', () => {
    const routes = [
      named('none', { path: '/x' }),
      named('short', { path: '/x', host: '*.example.com' }),
      named('long', { prefix: '/', host: '*.b.example.com' }),
      named('exact', { prefix: '/', host: 'a.b.example.com' }),
    ]
    const at = (host: string) => winner(routes, { url: '/x', headers: { host } })
    expect(at('a.b.example.com')).toBe('exact')
    expect(at('c.b.example.com')).toBe('long')
    expect(at('b.example.com')).toBe('short')
    expect(at('example.com')).toBe('none')
  })

  it('falls back to the less specific host when the more specific one has nothing', () => {
    const routes = [named('exact', { path: '/x', host: 'a.example.com' }), named('wild', { host: '*.example.com' })]
    expect(winner(routes, { url: '/y', headers: { host: 'a.example.com' } })).toBe('wild')
  })

  it('then counts the method, headers, query parameters, other conditions, and last the order', () => {
    const routes = [
      named('plain', { path: '/x' }),
      named('cookie', { path: '/x', cookies: { c: true } }),
      named('query', { path: '/x', query: { q: '1' } }),
      named('header', { path: '/x', headers: { h: '1' } }),
      named('headers', { path: '/x', headers: { h: '1', i: true } }),
      named('method', { path: '/x', method: 'PUT' }),
      named('late', { path: '/x', query: { r: '1' } }),
    ]
    const all = { h: '1', i: '1', cookie: 'c=1' }
    const at = (method: string, url: string, headers: Record<string, string>) =>
      winner(routes, { method, url, headers })
    expect(at('PUT', '/x?q=1', all)).toBe('method')
    expect(at('GET', '/x?q=1', all)).toBe('headers')
    expect(at('GET', '/x?q=1', { h: '1', cookie: 'c=1' })).toBe('header')
    expect(at('GET', '/x?r=1&q=1', { cookie: 'c=1' })).toBe('query')
    expect(at('GET', '/x', { cookie: 'c=1' })).toBe('cookie')
    expect(at('GET', '/x', {})).toBe('plain')
  })

  it('answers HEAD by GET, but by HEAD where a route names it', () => {
    const routes = [named('get', { path: '/x', method: 'GET' }), named('any', { path: '/x' })]
    expect(winner(routes, { method: 'HEAD', url: '/x' })).toBe('get')
    expect(winner([...routes, named('head', { path: '/x', method: 'HEAD' })], { method: 'HEAD', url: '/x' })).toBe(
      'head',
    )
    expect(winner(routes, { method: 'POST', url: '/x' })).toBe('any')
  })
})

// A naive model of the rules: every route is asked, wildcards try every length, the best is kept.

interface Row {
  readonly route: Route
  /** The pattern with each optional part taken or left out. */
  readonly readings: readonly string[]
}

const segmentsOf = (path: string) => path.split('/').filter((segment) => segment !== '')

/** The pattern of one segment, names left out: `:`, `a:`, `*`. */
const shape = (segment: string) => segment.replace(/:"p\d+"/g, ':').replace(/\*"p\d+"/, '*')

const KIND = (segment: string) => {
  const text = shape(segment)
  return text === '*' ? 0 : text === ':' ? 1 : text.includes(':') ? 2 : 3
}

function segmentFits(segment: string, text: string): boolean {
  return new RegExp(`^${shape(segment).replace(':', '.+')}$`, 'i').test(text)
}

function fitsFrom(pattern: readonly string[], path: readonly string[], isPrefix: boolean): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return isPrefix || path.length === 0
  if (path.length === 0) return false
  if (KIND(first) > 0) return segmentFits(first, path[0]!) && fitsFrom(rest, path.slice(1), isPrefix)
  return path.some((_, i) => fitsFrom(rest, path.slice(i + 1), isPrefix))
}

function readingRank(reading: string, isPrefix: boolean): (number | string)[][] {
  const segments = segmentsOf(reading)
  const wild = segments.findIndex((segment) => KIND(segment) === 0)
  const fixed = wild === -1 ? segments : segments.slice(0, wild)
  const tail = wild === -1 ? [] : segments.slice(wild)
  const rank = (segment: string) => {
    const isMixed = KIND(segment) === 2
    // Higher wins; the last tie between texts with parameters is alphabetical.
    return [KIND(segment), isMixed ? shape(segment).length : 0, isMixed ? shape(segment) : '']
  }
  return [
    [!isPrefix && wild === -1 ? 1 : 0],
    [fixed.length],
    ...fixed.map(rank),
    [tail.length > 0 ? 1 : 0],
    [tail.filter((segment) => KIND(segment) > 0).length],
    // Of two tails one of which goes on where the other ends, the shorter wins.
    ...Array.from({ length: 5 }, (_, i) => (tail[i] === undefined ? [9] : rank(tail[i]))),
    [tail.map(shape).join('/')],
  ]
}

/** Positive: the first is better. Numbers: higher is better; texts: earlier is better. */
function compareRanks(a: readonly (number | string)[][], b: readonly (number | string)[][]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const x = a[i]!
    const y = b[i]!
    for (let j = 0; j < x.length; j++) {
      const p = x[j]!
      const q = y[j]!
      if (p === q) continue
      return typeof p === 'number' ? p - (q as number) : p < (q as string) ? 1 : -1
    }
  }
  return 0
}

interface Asked {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly header: string | undefined
  readonly query: string | undefined
}

function modelWinner(rows: readonly Row[], asked: Asked): string | undefined {
  let best: { id: string; rank: (number | string)[][] } | undefined
  rows.forEach(({ route, readings }, index) => {
    const hosts = route.host as string[] | undefined
    const hostRanks = (hosts ?? []).map((host) => {
      if (!host.startsWith('*.')) return host === asked.host ? 1_000 : -1
      return asked.host.endsWith(host.slice(1)) && asked.host.length >= host.length ? host.length : -1
    })
    const hostRank = hosts === undefined ? 0 : Math.max(...hostRanks)
    if (hostRank < 0) return
    const methods = route.method as string[] | undefined
    let methodRank = 0
    if (methods !== undefined) {
      if (methods.includes(asked.method)) methodRank = 2
      else if (asked.method === 'HEAD' && methods.includes('GET')) methodRank = 1
      else return
    }
    if (route.headers !== undefined && asked.header !== route.headers.h) return
    if (route.query !== undefined && asked.query !== route.query.q) return
    if (route.when !== undefined && asked.path.length % 2 === 1) return
    const isPrefix = route.path === undefined
    const counts = [route.headers, route.query, route.when].map((condition) => [condition === undefined ? 0 : 1])
    for (const reading of readings) {
      if (!fitsFrom(segmentsOf(reading), segmentsOf(asked.path), isPrefix)) continue
      const path = readingRank(reading, isPrefix)
      const rank = [[hostRank], ...path, [methodRank], ...counts, [-index]]
      // Readings of one path that tie have the same length, so that the ranks line up.
      if (best === undefined || compareRanks(rank, best.rank) > 0) best = { id: route.id!, rank }
    }
  })
  return best?.id
}

const piece = fc.constantFrom('a', 'b', 'ab', ':@', 'a:@', ':@b', '*@')
const when = (req: { url?: string }) => (req.url ?? '').split('?')[0]!.length % 2 === 0

const rowArbitrary = fc
  .record({
    pieces: fc.array(piece, { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('path', 'path', 'prefix', 'any'),
    optional: fc.boolean(),
    host: fc.option(fc.subarray(['a.x.y', 'x.y', '*.x.y', '*.y'], { minLength: 1 }), { nil: undefined }),
    method: fc.option(fc.subarray(['GET', 'POST', 'HEAD'], { minLength: 1 }), { nil: undefined }),
    header: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
    query: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
    when: fc.boolean(),
  })
  .map(({ pieces, kind, optional, host, method, header, query, when: isOwn }): Row => {
    let n = 0
    const used = kind === 'prefix' ? pieces.filter((text) => text !== '*@') : pieces
    const texts = (kind === 'any' ? [] : used).map((text) => `/${text.replace(/@/g, () => `"p${n++}"`)}`)
    const isOptional = optional && kind === 'path'
    const last = texts.at(-1) ?? ''
    const whole = texts.join('')
    const shorter = texts.slice(0, -1).join('')
    return {
      readings: isOptional ? [whole, shorter] : [whole],
      route: {
        handlers,
        ...(kind === 'path' ? { path: isOptional ? `${shorter}{${last}}` : whole || '/' } : {}),
        ...(kind === 'prefix' ? { prefix: whole || '/' } : {}),
        ...(host === undefined ? {} : { host }),
        ...(method === undefined ? {} : { method }),
        ...(header === undefined ? {} : { headers: { h: header } }),
        ...(query === undefined ? {} : { query: { q: query } }),
        ...(isOwn ? { when } : {}),
      } as Route,
    }
  })

/** Tables of distinct routes: what a table refuses as a twin is left out. */
const tableArbitrary = fc.array(rowArbitrary, { minLength: 1, maxLength: 10 }).map((rows) => {
  const kept: Row[] = []
  for (const row of rows) {
    const next = [...kept, { ...row, route: { ...row.route, id: `r${kept.length}` } }]
    try {
      router(next.map(({ route }) => route))
      kept.push(next.at(-1)!)
    } catch {}
  }
  return kept
})

const askedArbitrary = fc.record({
  method: fc.constantFrom('GET', 'POST', 'HEAD', 'PUT'),
  path: fc.array(fc.constantFrom('a', 'b', 'ab', 'aab', 'c'), { maxLength: 5 }).map((list) => `/${list.join('/')}`),
  host: fc.constantFrom('a.x.y', 'x.y', 'b.x.y', 'z.y', 'other'),
  header: fc.constantFrom('1', '2', undefined),
  query: fc.constantFrom('1', '2', undefined),
})

function requestOf(asked: Asked): ExplainRequest & { headers: Record<string, string> } {
  return {
    method: asked.method,
    url: asked.path + (asked.query === undefined ? '' : `?q=${asked.query}`),
    headers: { host: asked.host, ...(asked.header === undefined ? {} : { h: asked.header }) },
  }
}

describe('the trie', () => {
  it('finds what asking every route in turn finds', () => {
    fc.assert(
      fc.property(tableArbitrary, fc.array(askedArbitrary, { minLength: 5, maxLength: 20 }), (rows, list) => {
        const routes = router(rows.map(({ route }) => route))
        for (const asked of list) {
          const explanation = routes.explain(requestOf(asked))
          expect(explanation.winner?.id).toBe(modelWinner(rows, asked))
          // The written-out rules of explain() agree with the trie: the first that lost by nothing is the winner.
          const best = explanation.considered.find(({ matched, reason }) => matched || reason?.kind === 'less_specific')
          expect(best?.id).toBe(explanation.winner?.id)
          expect(explanation.considered).toHaveLength(rows.length)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('explains what the handler does', async () => {
    let current: RouterHandler | undefined
    const port = await serve((req, res) => {
      current!(req, res, () => res.end(exchangeOf(req, res).route?.id ?? 'none'))
    })
    await fc.assert(
      fc.asyncProperty(tableArbitrary, askedArbitrary, async (rows, asked) => {
        current = router(
          rows.map(({ route }) => ({ ...route, handlers: (_req, res) => res.setHeader('x-route', route.id!).end() })),
        )
        const request = requestOf(asked)
        const answer = await ask(port, request.url, { method: asked.method, headers: request.headers })
        expect(answer.headers['x-route']).toBe(current.explain(request).winner?.id)
      }),
      { numRuns: 200 },
    )
  })
})
