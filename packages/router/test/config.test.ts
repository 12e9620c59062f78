import { ConfigError } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type Route, type RouterOptions, router } from '../src/index.ts'

const handlers = () => {}

/** `path: message` of every fault. */
function faults(routes: unknown, options?: unknown): string[] {
  try {
    router(routes as Route[], options as RouterOptions)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map(({ path, message }) => `${path}: ${message}`)
  }
  return []
}

/** The one fault of one route. */
function fault(route: object): string {
  const all = faults([{ handlers, ...route }])
  expect(all).toHaveLength(1)
  return all[0]!.replace(/^routes\[0\]\.?/, '')
}

describe('a table that cannot be used', () => {
  it('is refused with all its faults, by path', () => {
    const routes = [
      { path: '/ok', handlers },
      { prefix: 'api', handlers },
      { path: '/x', client: ['10.0.0.0/8', '10.0.0.0/33'], host: 'a b', handlers },
      { path: '/y', metod: 'GET', handlers },
      { path: '/z' },
    ]
    expect(faults(routes, { strikt: true })).toEqual([
      'routes[3].metod: unknown option',
      'strikt: unknown option',
      'routes[1].prefix: does not start with "/"',
      'routes[2].host: not a host',
      'routes[2].client[1]: not a network',
      'routes[4]: no action',
    ])
  })

  it('says which key was meant', () => {
    expect(() => router([{ pth: '/x', handlers } as never])).toThrow('did you mean "path"?')
    expect(() => router([{ redirect: { pat: '/x' } } as never])).toThrow('did you mean "path"?')
    expect(() => router([{ rewrite: { query: { sett: {} } }, handlers } as never])).toThrow('did you mean "set"?')
    expect(() => router([{ split: [{ id: 'a', wieght: 1, handlers }] } as never])).toThrow('did you mean "weight"?')
    expect(() => router([], { pathes: {} } as never)).toThrow('did you mean "paths"?')
  })

  it('is refused for what is no table', () => {
    expect(faults(undefined)).toHaveLength(1)
    expect(faults([null])).toEqual(['routes[0]: expected a route: { path, handlers }'])
    expect(faults([], { random: 1 })).toEqual(['random: expected a function () => number'])
  })

  it('is refused for patterns', () => {
    expect(fault({ path: '/a', prefix: '/b' })).toBe(': path and prefix')
    expect(fault({ path: 'a' })).toBe('path: does not start with "/"')
    expect(fault({ path: '/*' })).toMatch(/^path: not a path pattern: missing parameter name/)
    expect(fault({ path: '/a?' })).toMatch(/^path: not a path pattern: unexpected \?/)
    expect(fault({ path: '/a//b' })).toBe('path: an empty segment')
    expect(fault({ path: '/a/../b' })).toBe('path: a dot segment')
    expect(fault({ path: '/100%' })).toBe('path: a percent sign that is no escape')
    expect(fault({ path: '/:a/:a' })).toBe('path: the parameter "a" stands in it twice')
    expect(fault({ path: '/:a:b' })).toBe('path: no text between ":a" and ":b"')
    expect(fault({ path: '/x*rest' })).toBe('path: the wildcard "*rest" shares its segment')
    expect(fault({ path: '/{a}/b' })).toBe('path: an empty segment')
    expect(fault({ path: '{/a}'.repeat(9) })).toBe('path: more than 256 combinations of optional parts')
    expect(fault({ prefix: '/a/*b' })).toBe('prefix: a wildcard in a prefix')
  })

  it('is refused for conditions', () => {
    expect(fault({ method: 'GTE' })).toBe('method: not a method that Node knows')
    expect(fault({ method: [] })).toBe('method: expected a method')
    expect(fault({ host: '*' })).toBe('host: any host')
    expect(fault({ host: 'a.test:80' })).toBe('host: a host with a port')
    expect(fault({ host: ['a.*.test'] })).toBe('host[0]: not a host')
    expect(fault({ host: 'bücher.test' })).toBe('host: not a host as it is on the wire')
    expect(() => router([{ host: '*.bücher.test', handlers }])).toThrow('write *.xn--bcher-kva.test')
    expect(fault({ headers: { 'a b': true } })).toBe('headers.a b: not a header name')
    expect(fault({ headers: { a: /x/g } })).toMatch(/^headers\.a: a regular expression with the flag g or y/)
    expect(fault({ query: { a: 1 } })).toMatch(/^query\.a: expected a string/)
    expect(fault({ query: JSON.parse('{"__proto__": "x"}') })).toMatch(/^query: a name that is not allowed/)
    expect(fault({ client: '10.0.0.0/8/8' })).toBe('client: not a network')
    expect(fault({ client: '::ffff:0:0/90' })).toBe('client: not a network')
    expect(fault({ when: async () => true })).toMatch(/^when: an async function/)
  })

  it('is refused for actions', () => {
    expect(fault({ handlers: undefined })).toBe(': no action')
    expect(fault({ respond: { status: 200 } })).toBe(': several actions: handlers, respond')
    expect(fault({ split: [{ id: 'a', weight: 1, handlers }] })).toBe(': several actions: split, handlers')
    expect(fault({ handlers: [] })).toBe('handlers: expected a handler')
    expect(fault({ handlers: ['x'] })).toBe('handlers[0]: expected a handler (req, res, next)')
    expect(fault({ handlers: (_a: 1, _b: 1, _c: 1, _d: 1) => {} })).toMatch(/^handlers: an error handler/)
    expect(fault({ before: 'x' })).toBe('before: expected a handler (req, res, next)')
    expect(fault({ before: [() => {}, 1] })).toBe('before[1]: expected a handler (req, res, next)')
    expect(fault({ before: [(_a: 1, _b: 1, _c: 1, _d: 1) => {}] })).toMatch(/^before\[0\]: an error handler/)
    expect(fault({ handlers: undefined, before: () => {} })).toBe(': no action')
    const only = { handlers: undefined }
    expect(fault({ ...only, redirect: {} })).toBe('redirect: leads nowhere else')
    expect(fault({ ...only, redirect: { path: '/:x' } })).toBe('redirect.path: unknown parameter "x"')
    expect(fault({ ...only, redirect: { path: '//evil.test' } })).toMatch(
      /^redirect\.path: makes a path that is refused/,
    )
    expect(fault({ ...only, redirect: { host: 'a.test:80' } })).toBe('redirect.host: not a host without port')
    expect(fault({ ...only, redirect: { path: '/a', prefix: '/b' } })).toBe('redirect: path and prefix')
    expect(fault({ ...only, redirect: { path: '/a', status: 200 } })).toMatch(/^redirect\.status: expected 301/)
    expect(fault({ ...only, respond: { status: 99 } })).toMatch(/^respond\.status/)
    expect(fault({ ...only, respond: { status: 204, body: '' } })).toMatch(/^respond\.body: a body with status 204/)
    expect(fault({ ...only, respond: { status: 200, body: () => {} } })).toMatch(/^respond\.body: cannot be written/)
    expect(fault({ ...only, respond: { status: 200, headers: { 'content-length': '1' } } })).toMatch(
      /^respond\.headers\.content-length: a header that belongs to the connection/,
    )
    expect(fault({ ...only, respond: { status: 200, headers: { a: 'x\r\ny: z' } } })).toMatch(
      /^respond\.headers\.a: not/,
    )
  })

  it('is refused for edits', () => {
    expect(fault({ path: '/a', rewrite: { stripPrefix: true } })).toBe('rewrite.stripPrefix: the route has no prefix')
    expect(fault({ path: '/a', rewrite: { prefix: '/b' } })).toBe('rewrite.prefix: the route has no prefix to replace')
    expect(fault({ prefix: '/a', rewrite: { stripPrefix: true, prefix: '/b' } })).toBe(
      'rewrite: stripPrefix and prefix',
    )
    expect(fault({ path: '/:a', rewrite: { path: '/*a' } })).toBe('rewrite.path: "a" is a param')
    expect(fault({ path: '/x{/:a}', rewrite: { path: '/:a' } })).toBe('rewrite.path: "a" may be absent')
    expect(fault({ path: '/x', rewrite: { path: '/a/../b' } })).toBe(
      'rewrite.path: makes a path that is refused: dot segment',
    )
    expect(fault({ requestHeaders: { set: { a: 'x\ny' } } })).toMatch(/^requestHeaders\.set\.a: not a header value/)
    expect(fault({ responseHeaders: { remove: ['Connection'] } })).toMatch(
      /^responseHeaders\.remove\[0\]: a header that/,
    )
  })

  it('is refused for splits', () => {
    const a = { id: 'a', weight: 1, handlers }
    const only = { handlers: undefined }
    expect(fault({ ...only, split: [] })).toBe('split: expected a branch')
    expect(fault({ ...only, split: [a, a] })).toBe('split[1].id: the same as that of another branch')
    expect(fault({ ...only, split: [{ ...a, weight: 0 }] })).toBe('split: every branch has weight 0')
    expect(fault({ ...only, split: [{ ...a, weight: -1 }] })).toMatch(/^split\[0\]\.weight: expected a number/)
    expect(fault({ ...only, split: [{ ...a, id: 'a/b' }] })).toMatch(/^split\[0\]\.id/)
    expect(fault({ ...only, split: { by: { param: 'x' }, branches: [a] } })).toBe('split.by: unknown parameter "x"')
    expect(fault({ ...only, split: { by: 'me', branches: [a] } })).toMatch(/^split\.by: expected "client"/)
    expect(fault({ ...only, split: { branches: [{ id: 'b', weight: 1 }] } })).toBe('split.branches[0]: no action')
    expect(
      faults([
        { id: 'r', split: [a] },
        { id: 'r/a', path: '/x', handlers },
      ]),
    ).toEqual(['routes[0].split: the branch "a" would be called as routes[1] is'])
  })
})

describe('routes with the same conditions', () => {
  const twins = (a: object, b: object) =>
    faults([
      { handlers, ...a },
      { handlers, path: '/other' },
      { handlers, ...b },
    ])
  const told = (index: number, id: string) => [`routes[2]: the same conditions as routes[${index}] (${id})`]

  it('are refused, both named', () => {
    expect(twins({ path: '/a/:b' }, { path: '/A/:c/' })).toEqual(told(0, '/a/:b'))
    expect(twins({ prefix: '/' }, {})).toEqual(told(0, '/*'))
    expect(twins({ host: ['a.test', 'b.test'] }, { host: ['B.test', 'c.test'] })).toHaveLength(1)
    expect(twins({ method: ['GET', 'PUT'] }, { method: ['POST', 'PUT'] })).toHaveLength(1)
    expect(twins({ headers: { A: '1', b: true } }, { headers: { b: true, a: '1' } })).toHaveLength(1)
    expect(twins({ client: ['10.0.0.0/8', '::1'] }, { client: ['::1', '::ffff:10.0.0.0/104'] })).toHaveLength(1)
    const when = () => true
    expect(twins({ when }, { when })).toHaveLength(1)
    const match = /x/
    expect(twins({ query: { q: match } }, { query: { q: match } })).toHaveLength(1)
  })

  it('are fine when one condition differs', () => {
    expect(twins({ path: '/a/:b' }, { path: '/a/*b' })).toEqual([])
    expect(twins({ path: '/a' }, { prefix: '/a' })).toEqual([])
    expect(twins({ path: '/a' }, { path: '/a', method: 'GET' })).toEqual([])
    expect(twins({ path: '/a', method: 'HEAD' }, { path: '/a', method: 'GET' })).toEqual([])
    expect(twins({ host: 'a.test' }, { host: '*.a.test' })).toEqual([])
    expect(twins({ headers: { a: '1' } }, { headers: { a: '2' } })).toEqual([])
    expect(twins({ when: () => true }, { when: () => true })).toEqual([])
    expect(twins({ query: { q: /x/ } }, { query: { q: /x/ } })).toEqual([])
    expect(twins({ path: '/v:a' }, { path: '/w:a' })).toEqual([])
  })
})

describe('ids', () => {
  it('are unique, and made from the conditions when none is given', () => {
    expect(
      faults([
        { id: 'a', path: '/a', handlers },
        { id: 'a', path: '/b', handlers },
      ]),
    ).toEqual(['routes[1].id: the same as that of routes[0]'])
    const table = router([
      { path: '/users/:id', method: 'get', host: 'API.test', handlers },
      { prefix: '/a/', headers: { 'X-V': '2' }, cookies: { c: true }, query: { q: /^x/ }, handlers },
      { when: () => true, handlers },
      { when: () => true, handlers },
      { client: '::1', handlers },
    ])
    expect(table.routes.map((route) => route.id)).toEqual([
      'GET api.test/users/:id',
      '/a/* header:x-v=2 query:q=/^x/ cookie:c',
      '/* when',
      '/* when #3',
      '/* client:::1',
    ])
  })
})
