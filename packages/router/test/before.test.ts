import type { ServerResponse } from 'node:http'
import express, { type NextFunction, type Request, type Response } from 'express'
import { describe, expect, it } from 'vitest'
import { type Route, type RouteHandler, router } from '../src/index.ts'
import { ask, hear, say, serve } from './support.ts'

/** Lets pass who has the word. */
const guard: RouteHandler = (req, res, next) => {
  if (req.headers['x-word'] === 'open') next()
  else res.writeHead(401).end('closed')
}
const OPEN = { headers: { 'x-word': 'open' } }

/** Everything that a route can do, all guarded. */
const ACTIONS: readonly Route[] = [
  { path: '/handlers', handlers: say('handlers') },
  { path: '/redirect', redirect: { path: '/elsewhere' } },
  { path: '/respond', respond: { status: 200, body: 'fixed' } },
  {
    path: '/split',
    split: [
      { id: 'a', weight: 1, respond: { status: 200, body: 'a' } },
      { id: 'b', weight: 1, redirect: { path: '/b' } },
      { id: 'c', weight: 1, handlers: say('c') },
    ],
  },
]

/** A route whose branches are drawn one after the other. */
function inTurn(): () => number {
  let n = 0
  return () => (n++ % 3) / 3
}

describe('handlers before a route', () => {
  it('stand before whatever it does', async () => {
    const routes = ACTIONS.map((route) => ({ ...route, before: guard }))
    const port = await serve(router(routes, { random: inTurn() }))
    for (const path of ['/handlers', '/redirect', '/respond', '/split', '/split', '/split']) {
      expect(await ask(port, path), path).toMatchObject({ status: 401, body: 'closed' })
    }
    expect((await hear(port, '/handlers', OPEN)).name).toBe('handlers')
    expect(await ask(port, '/redirect', OPEN)).toMatchObject({ status: 302, headers: { location: '/elsewhere' } })
    expect(await ask(port, '/respond', OPEN)).toMatchObject({ status: 200, body: 'fixed' })
    const drawn = await Promise.all(Array.from({ length: 3 }, () => ask(port, '/split', OPEN)))
    expect(drawn.map((answer) => answer.status).sort()).toEqual([200, 200, 302])
  })

  it('guard HEAD as GET', async () => {
    const port = await serve(router([{ path: '/a', method: 'GET', before: guard, respond: { status: 204 } }]))
    expect((await ask(port, '/a', { method: 'HEAD' })).status).toBe(401)
    expect((await ask(port, '/a', { method: 'HEAD', ...OPEN })).status).toBe(204)
  })

  it('run in turn, and know the route, its branch, its parameters and its edits', async () => {
    const seen: unknown[] = []
    const note: RouteHandler = (req, _res, next) => {
      const { route, outgoing } = req.gateway!
      seen.push(route?.id, (req as Request).params.id, outgoing.path, outgoing.responseHeaders?.length)
      next()
    }
    const port = await serve(
      router([
        {
          id: 'r',
          path: '/x/:id',
          rewrite: { path: '/y/:id' },
          before: [note, async (_req, _res, next) => (await Promise.resolve(), seen.push('second'), next())],
          split: [{ id: 'a', weight: 1, responseHeaders: { set: { 'x-a': '1' } }, respond: { status: 204 } }],
        },
      ]),
    )
    expect(await ask(port, '/x/7')).toMatchObject({ status: 204, headers: { 'x-a': '1' } })
    expect(seen).toEqual(['r/a', '7', '/y/7', 1, 'second'])
  })

  it('may edit the answer of the router', async () => {
    const before: RouteHandler = (req, _res, next) => {
      req.gateway!.outgoing.editResponseHeader({ op: 'set', name: 'x-edge', value: 'yes' })
      next()
    }
    const port = await serve(router([{ path: '/a', before, redirect: { path: '/b' } }]))
    expect(await ask(port, '/a')).toMatchObject({ status: 302, headers: { 'x-edge': 'yes', location: '/b' } })
  })

  it('hand over to the next best route, which is not theirs to guard, with all changes taken back', async () => {
    const pass: RouteHandler = (_req, _res, next) => next('route')
    const port = await serve(
      router([
        { path: '/a/:id', before: pass, rewrite: { path: '/z' }, respond: { status: 500 } },
        { prefix: '/a', before: guard, rewrite: { prefix: '/y' }, handlers: say('prefix') },
        { prefix: '/', handlers: say('root') },
      ]),
    )
    expect((await ask(port, '/a/1')).status).toBe(401)
    const said = await hear(port, '/a/1', OPEN)
    expect(said).toMatchObject({ name: 'prefix', path: '/y/1' })
    expect(said.params).toBeUndefined()
  })

  it('leave the router where they say so', async () => {
    const app = express()
    app.use(router([{ path: '/a', before: (_req, _res, next) => next('router'), respond: { status: 500 } }]))
    app.use((_req: Request, res: Response) => void res.send('app'))
    expect((await ask(await serve(app), '/a')).body).toBe('app')
  })

  it('that fail end in the error handling of the app, and the route does nothing', async () => {
    const ways: RouteHandler[] = [
      () => {
        throw new Error('broken')
      },
      async () => {
        throw new Error('broken')
      },
      (_req, _res, next) => next(new Error('broken')),
    ]
    for (const before of ways) {
      const app = express()
      app.use(router([{ path: '/a', before, respond: { status: 200, body: 'open' } }]))
      app.use((error: Error, _req: Request, res: Response, _next: NextFunction) => {
        res.status(500).send(`caught ${error.message}`)
      })
      expect(await ask(await serve(app), '/a')).toMatchObject({ status: 500, body: 'caught broken' })
    }
  })

  it('that go on twice, or behind an answer, have nothing answered twice', async () => {
    const errors: unknown[] = []
    const twice: RouteHandler = (_req, _res, next) => (next(), next())
    const late: RouteHandler = (_req, res, next) => (res.end('mine'), next())
    const app = express()
    app.use(
      router([
        { path: '/twice', before: twice, respond: { status: 200, body: 'once' } },
        { path: '/late', before: late, respond: { status: 200, body: 'fixed' } },
        { path: '/late-handlers', before: late, handlers: (_req, res) => void (errors.push('ran'), res.end('no')) },
      ]),
    )
    app.use((req: Request, res: Response) => void (errors.push(req.url), res.end()))
    app.use((error: Error, _req: Request, _res: Response, _next: NextFunction) => void errors.push(error))
    const port = await serve(app)
    expect((await ask(port, '/twice')).body).toBe('once')
    expect((await ask(port, '/late')).body).toBe('mine')
    expect((await ask(port, '/late-handlers')).body).toBe('mine')
    expect(errors).toEqual([])
  })

  it('whose client has left have nothing fail', async () => {
    const errors: unknown[] = []
    let go: (() => void) | undefined
    const waiting = new Promise<ServerResponse>((resolve) => {
      const app = router([
        {
          path: '/a',
          before: (_req, res, next) => {
            go = next
            resolve(res)
          },
          respond: { status: 200, body: 'late' },
        },
      ])
      void serve((req, res) => app(req, res, (error?: unknown) => void errors.push(error))).then((port) => {
        const leaving = new AbortController()
        fetch(`http://127.0.0.1:${port}/a`, { signal: leaving.signal }).catch(() => undefined)
        void waiting.then(() => leaving.abort())
      })
    })
    const res = await waiting
    await new Promise<void>((resolve) => res.once('close', resolve))
    go!()
    expect(errors).toEqual([])
  })

  it('may be none', async () => {
    const port = await serve(router([{ path: '/a', before: [], respond: { status: 204 } }]))
    expect((await ask(port, '/a')).status).toBe(204)
  })

  it('are copied: a list that changes later changes nothing', async () => {
    const before = [guard]
    const port = await serve(router([{ path: '/a', before, respond: { status: 204 } }]))
    before.length = 0
    expect((await ask(port, '/a')).status).toBe(401)
  })
})
