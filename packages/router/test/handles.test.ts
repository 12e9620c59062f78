import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { ConfigError } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type Explanation, type RouteHandler, router } from '../src/index.ts'
import { ask, hear, say, serve } from './support.ts'

const handlers = () => {}

describe('replace', () => {
  it('puts another table in place, for the next request', async () => {
    const handler = router([{ path: '/a', handlers: say('one') }])
    const port = await serve(handler)
    expect((await hear(port, '/a')).name).toBe('one')
    handler.replace([{ path: '/b', handlers: say('two') }])
    expect((await hear(port, '/b')).name).toBe('two')
    expect((await ask(port, '/a')).status).toBe(404)
    expect(handler.routes.map((route) => route.id)).toEqual(['/b'])
  })

  it('changes nothing when the new table has a fault', async () => {
    const handler = router([{ path: '/a', handlers: say('one') }])
    const port = await serve(handler)
    const before = handler.routes
    expect(() =>
      handler.replace([
        { path: '/a', handlers: say('two') },
        { path: 'b', handlers },
      ]),
    ).toThrow(ConfigError)
    expect(handler.routes).toBe(before)
    expect((await hear(port, '/a')).name).toBe('one')
  })

  it('lets requests under way keep their table', async () => {
    let release: () => void = () => {}
    const entered = new Promise<void>((resolve) => {
      release = resolve
    })
    let goOn: () => void = () => {}
    const wait: RouteHandler = (_req, _res, next) => {
      goOn = () => next('route')
      release()
    }
    const handler = router([
      { path: '/a', handlers: wait },
      { prefix: '/', handlers: say('old') },
    ])
    const answer = hear(await serve(handler), '/a')
    await entered
    handler.replace([{ prefix: '/', handlers: say('new') }])
    goOn()
    expect((await answer).name).toBe('old')
  })

  it('keeps the options', () => {
    const handler = router([], { caseSensitive: true })
    handler.replace([{ path: '/A', handlers }])
    expect(handler.explain({ url: '/a' }).winner).toBeUndefined()
    expect(handler.explain({ url: '/A' }).winner?.id).toBe('/A')
  })
})

describe('routes', () => {
  it('list the table, frozen, so that a new one can be made of it', () => {
    const table = router([
      { prefix: '/a', host: ['X.test', '*.y.test'], method: 'get', handlers },
      { path: '/b', split: [{ id: 'c', weight: 2, handlers }] },
    ])
    expect(table.routes).toMatchObject([
      { index: 0, id: 'GET x.test,*.y.test/a/*', kind: 'prefix', hosts: ['x.test', '*.y.test'], methods: ['GET'] },
      { index: 1, id: '/b', kind: 'path', action: 'split', branches: [{ id: 'c', weight: 2 }] },
    ])
    expect(Object.isFrozen(table.routes)).toBe(true)
    expect(Object.isFrozen(table.routes[0])).toBe(true)
    expect(() => {
      ;(table as { routes: unknown }).routes = []
    }).toThrow(TypeError)
    table.replace([...table.routes.map((route) => route.definition), { path: '/c', handlers }])
    expect(table.routes).toHaveLength(3)
  })
})

describe('explain', () => {
  const table = router([
    { id: 'host', path: '/a', host: 'x.test', handlers },
    { id: 'method', path: '/a', method: 'PUT', handlers },
    { id: 'header', path: '/a', headers: { 'X-H': '1' }, handlers },
    { id: 'query', path: '/a', query: { q: true }, handlers },
    { id: 'cookie', path: '/a', cookies: { c: true }, handlers },
    { id: 'client', path: '/a', client: '10.0.0.0/8', handlers },
    { id: 'when', path: '/a', when: () => false, handlers },
    { id: 'plain', path: '/:any', handlers },
    { id: 'less', prefix: '/', handlers },
    { id: 'path', path: '/b', handlers },
  ])
  const reasons = ({ considered }: Explanation) => considered.map(({ id, reason }) => [id, reason])

  it('tells for every route why it lost, most specific first', () => {
    expect(reasons(table.explain({ url: '/a', headers: { host: 'y.test' }, address: '192.0.2.1' }))).toEqual([
      ['header', { kind: 'header', name: 'x-h' }],
      ['query', { kind: 'query', name: 'q' }],
      ['cookie', { kind: 'cookie', name: 'c' }],
      ['client', { kind: 'client' }],
      ['when', { kind: 'when' }],
      // Of its path, but not of its method: behind those of any method.
      ['method', { kind: 'method' }],
      ['plain', undefined],
      ['less', { kind: 'less_specific', than: 'plain' }],
      ['host', { kind: 'host' }],
      ['path', { kind: 'path' }],
    ])
  })

  it('tells the target, the host and the winner', () => {
    const explanation = table.explain({ url: '/A?q=1', headers: { host: 'Y.test:80' }, address: '192.0.2.1' })
    expect(explanation).toMatchObject({
      method: 'GET',
      target: { path: '/A', query: '?q=1' },
      path: '/A',
      host: 'y.test',
      refused: undefined,
      winner: { index: 3, id: 'query', pattern: '/a', params: {} },
    })
  })

  it('tells when a request is refused', () => {
    expect(table.explain({ url: '/a//b' })).toMatchObject({
      refused: { problem: 'bad_request_target', reason: 'repeated slash' },
      considered: [],
      winner: undefined,
    })
    expect(table.explain({ url: '/a', headers: { host: ['x.test', 'y.test'] } }).refused?.problem).toBe('bad_host')
  })

  it('takes a real request and leaves no trace on it', () => {
    const req = new IncomingMessage(new Socket())
    req.method = 'GET'
    req.url = '/a'
    expect(table.explain(req).winner?.id).toBe('plain')
    expect(req.gateway).toBeUndefined()
    expect((req as { params?: unknown }).params).toBeUndefined()
  })
})
