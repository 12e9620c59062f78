import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { isRefusedTarget, parseRequestTarget } from '@postern/contracts'
import express from 'express'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Rewrite, type Route, type RouterOptions, router } from '../src/index.ts'
import { ask, hear, say, serve } from './support.ts'

/** The path that is forwarded, under a mount when one is given. */
async function forwarded(
  route: Omit<Route, 'handlers'>,
  path: string,
  options?: RouterOptions,
): Promise<string | undefined> {
  return (await hear(await serve(router([{ ...route, handlers: say('x') }], options)), path)).path
}

describe('rewrite', () => {
  it('takes the matched prefix off, and leaves the rest byte for byte', async () => {
    const route = { prefix: '/api/:v', rewrite: { stripPrefix: true } } as const
    expect(await forwarded(route, '/api/1/Users/%40x;y/')).toBe('/Users/%40x;y/')
    expect(await forwarded(route, '/API/1')).toBe('/')
    expect(await forwarded(route, '/api/1/')).toBe('/')
  })

  it('replaces the matched prefix, or stands in front', async () => {
    expect(await forwarded({ prefix: '/t/:id', rewrite: { prefix: '/v2/:id/' } }, '/t/a%20b/x/')).toBe('/v2/a%20b/x/')
    expect(await forwarded({ prefix: '/t', rewrite: { prefix: '/' } }, '/t')).toBe('/')
    expect(await forwarded({ rewrite: { prefix: '/v2' } }, '/a')).toBe('/v2/a')
  })

  it('replaces the whole path', async () => {
    const route = { path: '/f/:id/*rest', rewrite: { path: '/x/*rest/of/:id' } }
    expect(await forwarded(route, '/f/7/a%2Bb/c')).toBe('/x/a%2Bb/c/of/7')
    expect(await forwarded({ path: '/f/*rest', rewrite: { path: '/é x/*rest' } }, '/f/dir/')).toBe('/%C3%A9%20x/dir/')
    expect(await forwarded({ path: '/f/*rest', rewrite: { path: '/x/*rest/end' } }, '/f/a/b/')).toBe('/x/a/b/end')
    const optional = { path: '/a{/:b}', rewrite: { path: '/z{/:b}' } }
    expect(await forwarded(optional, '/a')).toBe('/z')
    expect(await forwarded(optional, '/a/1')).toBe('/z/1')
  })

  it('works on the part behind a mount', async () => {
    const app = express()
    app.use('/api', router([{ prefix: '/v1', rewrite: { prefix: '/v2' }, handlers: say('x') }]))
    expect((await hear(await serve(app), '/api/v1/x')).path).toBe('/v2/x')
  })

  it('leaves the path alone when it only edits the query', async () => {
    const query = { remove: ['a'], set: { B: '1' }, append: { c: '&=' } }
    const said = await hear(await serve(router([{ rewrite: { query }, handlers: say('x') }])), '/x?a=1')
    expect(said.path).toBeUndefined()
    expect(said.query).toEqual([
      { op: 'remove', name: 'a' },
      { op: 'set', name: 'B', value: '1' },
      { op: 'append', name: 'c', value: '&=' },
    ])
  })

  it('puts header edits on the exchange, behind those that are there', async () => {
    const handler = router([
      {
        requestHeaders: { set: { 'X-A': '1' }, append: { 'x-b': '2' }, remove: ['X-C'] },
        responseHeaders: { remove: ['Server'] },
        handlers: say('x'),
      },
    ])
    const app = express().use((req, res, next) => {
      router([{ requestHeaders: { set: { 'x-0': '0' } }, handlers: (_q, _s, pass) => pass() }])(req, res, next)
    }, handler)
    const said = await hear(await serve(app), '/')
    expect(said.requestHeaders).toEqual([
      { op: 'set', name: 'x-0', value: '0' },
      { op: 'remove', name: 'x-c' },
      { op: 'set', name: 'x-a', value: '1' },
      { op: 'append', name: 'x-b', value: '2' },
    ])
    expect(said.responseHeaders).toEqual([{ op: 'remove', name: 'server' }])
  })

  it('does not let two requests share a list of edits', async () => {
    const add = (
      req: { gateway?: { outgoing: { editRequestHeader(edit: object): void } } },
      _res: unknown,
      next: () => void,
    ) => {
      req.gateway!.outgoing.editRequestHeader({ op: 'set', name: 'x-own', value: '1' })
      next()
    }
    const port = await serve(router([{ requestHeaders: { set: { 'x-a': '1' } }, handlers: [add as never, say('x')] }]))
    await hear(port, '/')
    expect((await hear(port, '/')).requestHeaders).toHaveLength(2)
  })

  it('refuses a path that parts of segments have turned into dot segments', async () => {
    const port = await serve(router([{ path: '/v:x', rewrite: { path: '/files/:x' }, handlers: say('x') }]))
    expect((await hear(port, '/v1')).path).toBe('/files/1')
    const answer = await ask(port, '/v..')
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'bad_request_target'])
  })

  it('never lets a parameter add a segment, a query or a line', () => {
    const rewrites: Rewrite[] = [{ path: '/x/:a/*b' }, { path: '/:a.json/*b' }, { path: '/*b/:a-:c' }]
    const options = { paths: { encodedSlashes: 'pass', encodedUnreserved: 'pass' } } as const
    let seen = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...rewrites),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }),
        fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }),
        (rewrite, a, b) => {
          const url = `/p/${encodeURIComponent(a)}:${encodeURIComponent(a)}/${b.map(encodeURIComponent).join('/')}`
          if (isRefusedTarget(parseRequestTarget(url, options.paths))) return
          const req = new IncomingMessage(new Socket())
          req.url = url
          let path: string | undefined
          router(
            [{ path: '/p/:a\\::c/*b', rewrite, handlers: (asked) => (path = asked.gateway!.outgoing.path) }],
            options,
          )(req, new ServerResponse(req), () => {})
          if (path === undefined) return
          seen++
          expect(path).toMatch(/^\/[\x21\x24-\x3e\x40-\x7e]*$/)
          const fixed = rewrite.path!.split('/').length - 2
          expect(path.split('/')).toHaveLength(1 + fixed + b.length)
        },
      ),
      { numRuns: 500 },
    )
    expect(seen).toBeGreaterThan(100)
  })
})
