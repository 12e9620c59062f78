import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError } from '@postern/contracts'
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import { describe, expect, it } from 'vitest'
import { type RouteHandler, router } from '../src/index.ts'
import { ask, hear, type Said, say, serve } from './support.ts'

describe('router() in Express', () => {
  it('sends a request to the best route and puts route and parameters on it', async () => {
    const app = express()
    app.use(
      router([
        { path: '/users/:id', handlers: say('user') },
        { prefix: '/users', handlers: say('users') },
      ]),
    )
    const port = await serve(app)
    const said = await hear(port, '/users/a%20b')
    expect(said).toMatchObject({ name: 'user', params: { id: 'a b' } })
    expect(said.route).toEqual({ id: '/users/:id', pattern: '/users/:id', params: { id: 'a b' } })
    expect((await hear(port, '/users/1/x')).route).toEqual({ id: '/users/*', pattern: '/users', params: {} })
  })

  it('goes on with the app, and leaves the request as it was, when nothing matches', async () => {
    const app = express()
    app.use(router([{ path: '/a', rewrite: { path: '/b' }, handlers: say('a') }]))
    app.use(say('app') as RequestHandler)
    const said = await hear(await serve(app), '/Other/x?y=1')
    expect(said).toMatchObject({ name: 'app', url: '/Other/x?y=1' })
    expect(said.route).toBeUndefined()
    expect(said.path).toBeUndefined()
  })

  it('matches the part behind a mount and keeps its parameters', async () => {
    const app = express()
    app.use('/t/:tenant', express.Router({ mergeParams: true }).use(router([{ path: '/x/:id', handlers: say('x') }])))
    const said = await hear(await serve(app), '/t/acme/X/7')
    expect(said).toMatchObject({ name: 'x', url: '/X/7' })
    expect(said.route?.params).toEqual({ id: '7' })
    expect(said.params).toEqual({ tenant: 'acme', id: '7' })
  })

  it('merges its parameters into those that Express has found', async () => {
    const app = express()
    app.use('/t/:tenant', router([{ path: '/x/:id', handlers: say('x') }]))
    expect((await hear(await serve(app), '/t/acme/x/7')).params).toEqual({ tenant: 'acme', id: '7' })
  })

  it('checks the whole target under a mount', async () => {
    const app = express()
    app.use('/api', router([{ prefix: '/', handlers: say('api') }]))
    app.use((_req, res) => void res.status(404).end())
    const port = await serve(app)
    expect((await ask(port, '/api/../admin')).status).toBe(400)
    expect((await ask(port, '/api//admin')).status).toBe(400)
    expect((await hear(port, '/api?x=1')).name).toBe('api')
  })

  it('runs the handlers of a route in turn, and the app behind them', async () => {
    const app = express()
    const seen: string[] = []
    const step = (name: string): RouteHandler => {
      return (_req, _res, next) => {
        seen.push(name)
        next()
      }
    }
    app.use(router([{ path: '/a', handlers: [step('one'), step('two')] }]))
    app.use(say('app') as RequestHandler)
    const said = await hear(await serve(app), '/a')
    expect(seen).toEqual(['one', 'two'])
    expect(said).toMatchObject({ name: 'app', route: { id: '/a' } })
  })

  it('does not try other routes when a chain falls through', async () => {
    const app = express()
    app.use(
      router([
        { path: '/a', handlers: (_req, _res, next) => next() },
        { prefix: '/', handlers: say('other') },
      ]),
    )
    app.use(say('app') as RequestHandler)
    expect((await hear(await serve(app), '/a')).name).toBe('app')
  })

  it('tries the next best route on next("route"), and takes back what the first has changed', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.gateway = undefined as never
      next()
    })
    const pass: RouteHandler = (_req, _res, next) => next('route')
    app.use(
      router([
        { path: '/a/b', handlers: pass, rewrite: { path: '/q' }, requestHeaders: { set: { 'x-a': '1' } } },
        { path: '/a/:b', handlers: pass, rewrite: { query: { set: { q: '1' } } }, responseHeaders: { remove: ['x'] } },
        { prefix: '/a', handlers: say('prefix'), requestHeaders: { set: { 'X-P': '1' } } },
      ]),
    )
    app.use(say('app') as RequestHandler)
    const said = await hear(await serve(app), '/a/b')
    expect(said).toMatchObject({ name: 'prefix', route: { id: '/a/*' }, params: {} })
    expect(said.path).toBeUndefined()
    expect(said.query ?? []).toEqual([])
    expect(said.responseHeaders ?? []).toEqual([])
    expect(said.requestHeaders).toEqual([{ op: 'set', name: 'x-p', value: '1' }])
  })

  it('goes on with the app when next("route") finds no other route, and on next("router")', async () => {
    for (const word of ['route', 'router']) {
      const app = express()
      app.use(router([{ path: '/a/:id', handlers: [(_req, _res, next) => next(word), say('never')] }]))
      app.use(say('app') as RequestHandler)
      const said: Said = await hear(await serve(app), '/a/1')
      expect(said.name).toBe('app')
      expect(said.route === undefined).toBe(word === 'route')
    }
  })

  it('hands every kind of error to the error handler of the app', async () => {
    const app = express()
    app.use(
      router([
        { path: '/next', handlers: (_req, _res, next) => next(new Error('next')) },
        {
          path: '/throw',
          handlers: () => {
            throw new Error('throw')
          },
        },
        { path: '/reject', handlers: async () => Promise.reject(new Error('reject')) },
        { path: '/nothing', handlers: () => Promise.reject(undefined) },
        {
          path: '/when',
          handlers: say('never'),
          when: () => {
            throw new Error('when')
          },
        },
        {
          path: '/by',
          split: {
            by: () => {
              throw new Error('by')
            },
            branches: [{ id: 'a', weight: 1, handlers: say('never') }],
          },
        },
      ]),
    )
    app.use((error: Error, _req: Request, res: Response, _next: NextFunction) => {
      res.status(503).end(error.message)
    })
    const port = await serve(app)
    for (const word of ['next', 'throw', 'reject', 'when', 'by']) {
      expect(await ask(port, `/${word}`)).toMatchObject({ status: 503, body: word })
    }
    expect((await ask(port, '/nothing')).body).toBe('Rejected promise')
  })

  it('takes Express handlers and routers as handlers', async () => {
    const typed: RequestHandler = (req, res) => void res.json({ name: req.path })
    const app = express()
    const inner = express.Router().get('/in/x', typed)
    app.use(
      router([
        { prefix: '/in', handlers: inner },
        { path: '/typed', handlers: [typed] },
      ]),
    )
    const port = await serve(app)
    expect(JSON.parse((await ask(port, '/in/x')).body)).toEqual({ name: '/in/x' })
    expect(JSON.parse((await ask(port, '/typed')).body)).toEqual({ name: '/typed' })
  })

  it('is named for stacks', () => {
    expect(router([]).name).toBe('routerHandler')
  })
})

describe('router() in a bare server', () => {
  it('routes, and calls the continuation it is given', async () => {
    const handler = router([{ path: '/a', handlers: say('a') }])
    const port = await serve((req, res) => handler(req, res, () => res.writeHead(418).end()))
    expect((await hear(port, '/a')).name).toBe('a')
    expect((await ask(port, '/b')).status).toBe(418)
  })

  it('is a request listener itself: 404 for what no route takes, 500 for errors, that tells nothing', async () => {
    const handler = router([
      { path: '/through', handlers: (_req, _res, next) => next() },
      { path: '/fail', handlers: (_req, _res, next) => next(new Error('secret')) },
    ])
    const server = createServer(handler as RequestListener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const codeOf = async (path: string) => {
      const { status, body } = await ask(port, path)
      expect(body).not.toContain('secret')
      return [status, JSON.parse(body).code]
    }
    expect(await codeOf('/none')).toEqual([404, 'route_not_found'])
    expect(await codeOf('/through')).toEqual([404, 'route_not_found'])
    expect(await codeOf('/fail')).toEqual([500, 'route_failed'])
    server.close()
  })

  it('takes options with the routes in them', () => {
    const handler = router({ routes: [{ path: '/A', handlers: say('a') }], caseSensitive: true })
    expect(handler.explain({ url: '/a' }).winner).toBeUndefined()
    expect(() => router({ caseSensitive: true } as never)).toThrow(ConfigError)
  })
})
