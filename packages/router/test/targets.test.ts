import express from 'express'
import { describe, expect, it } from 'vitest'
import { router } from '../src/index.ts'
import { ask, hear, say, send, serve } from './support.ts'

const REFUSED = [
  '/public/../admin',
  '/public/%2e%2e/admin',
  '/public/..%2fadmin',
  '/public/%252e%252e/admin',
  '/a%5cb',
  '/a\\b',
  '/a/..;/b',
  '/a/./b',
  '//admin',
  '/admin%00',
  '/%u002e',
  '/%c0%ae',
  '/%61dmin',
  '/%',
  '/%ff',
  '/a/%E9/b',
]

describe('request targets', () => {
  it('are refused before anything is matched when two programs could read them differently', async () => {
    const port = await serve(router([{ prefix: '/', handlers: say('open') }]))
    for (const path of REFUSED) {
      const answer = await send(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      expect([path, answer.split('\r\n')[0]]).toEqual([path, 'HTTP/1.1 400 Bad Request'])
      expect(answer).toContain('"code":"bad_request_target"')
    }
  })

  it('pass when they are only unusual', async () => {
    const port = await serve(router([{ prefix: '/', handlers: say('open') }]))
    for (const path of [
      '/a%20b',
      '/%C3%A9',
      '/a..b',
      '/a;x=1',
      '/a+b',
      '/[x]',
      '/x?',
      '/x?a=%2F&b=../..',
      '/.well-known/x',
    ]) {
      expect(await hear(port, path)).toMatchObject({ name: 'open', url: path })
    }
  })

  it('go to the error handler of the app with errors: "next"', async () => {
    const app = express()
    app.use(router([], { errors: 'next' }))
    app.use((error: { code: string; status: number }, _req: unknown, res: express.Response, _next: unknown) => {
      res.status(error.status).end(`own ${error.code}`)
    })
    expect(await ask(await serve(app), '/a//b')).toMatchObject({ status: 400, body: 'own bad_request_target' })
  })

  it('follow the policy of the options', async () => {
    const handler = router([{ prefix: '/a', handlers: say('a') }], { paths: { encodedSlashes: 'pass' } })
    expect((await hear(await serve(handler), '/a/x%2Fy')).name).toBe('a')
  })

  it('may be whole URLs; their host is the one that counts, and Host must agree', async () => {
    const port = await serve(router([{ host: 'a.test', path: '/x', handlers: say('a') }]))
    const get = (host: string) =>
      send(port, `GET http://A.test/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    expect(await get('a.test')).toContain('"name":"a"')
    expect(await get('b.test')).toContain('"code":"bad_host"')
  })

  it('of 10 kB are decided, however hostile', () => {
    const handler = router([
      { path: '/:a/:b/:c/:d/x', respond: { status: 200 } },
      { path: '/a/:b/a/:d/y', respond: { status: 200 } },
      { path: '/*a/x/*b/y/*c/z', respond: { status: 200 } },
      { path: '/*a/:b-:c/*d/end', respond: { status: 200 } },
      { path: '/a/*a/:x-:y-:z', respond: { status: 200 } },
      { path: '/:a-:b-:c-:d-:e', respond: { status: 200 } },
      { prefix: '/a/:b', headers: { h: /^x/ }, respond: { status: 200 } },
    ])
    const hostile = [
      '/a'.repeat(5_000),
      '/x'.repeat(5_000),
      '/x/y'.repeat(2_500),
      '/x-x'.repeat(2_500),
      `/${'-'.repeat(10_000)}`,
      `/${'a-'.repeat(5_000)}`,
      '/%20'.repeat(2_500),
      '/é'.repeat(5_000),
      `/${'%25'.repeat(3_300)}`,
      `/${';'.repeat(10_000)}`,
      `/${'.'.repeat(10_000)}`,
      '/.a'.repeat(3_300),
    ]
    for (const url of hostile) {
      const started = performance.now()
      for (let i = 0; i < 20; i++) handler.explain({ url })
      // Backtracking without a bound would take hours; a slow machine does not.
      expect(performance.now() - started).toBeLessThan(10_000)
    }
  })
})
