import { request, startUpstream } from '@postern/test-kit'
import express, { type RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { gateway, TRANSPORTS, using } from '../support/gateway.ts'

describe.each(TRANSPORTS)('bodies that a parser has read, by $via', ({ via }) => {
  const start = async (...before: RequestHandler[]) => {
    const upstream = await using(startUpstream())
    return { upstream, gate: await gateway({ via, target: upstream.url, before }) }
  }
  const post = (url: string, type: string, body: string | Buffer, headers = {}) =>
    request(url, { method: 'POST', headers: { 'content-type': type, ...headers }, body, timeoutMs: 3_000 })

  test('express.json(): the same value', async () => {
    const { upstream, gate } = await start(express.json())
    const reply = await post(gate.url, 'application/json; charset=utf-8', '{ "a": [1, "\u20ac"],\n "b": null }')
    expect(reply.status).toBe(200)
    expect(JSON.parse(upstream.last.body.toString())).toEqual({ a: [1, '\u20ac'], b: null })
    expect(upstream.last.headers['content-length']).toBe(String(upstream.last.body.length))
    expect(upstream.last.complete).toBe(true)
  })

  test('express.json() that keeps the bytes: byte for byte', async () => {
    const keep = express.json({
      verify: (req, _res, bytes) => {
        ;(req as { rawBody?: Buffer }).rawBody = bytes
      },
    })
    const { upstream, gate } = await start(keep)
    const body = '{ "a" :1,\n"a":2 }'
    await post(gate.url, 'application/json', body)
    expect(upstream.last.body.toString()).toBe(body)
  })

  test('express.urlencoded(): the same value', async () => {
    const { upstream, gate } = await start(express.urlencoded())
    await post(gate.url, 'application/x-www-form-urlencoded', 'a=1&b=x+y&b=%26&c=%E2%82%AC')
    const fields = new URLSearchParams(upstream.last.body.toString())
    expect(fields.get('a')).toBe('1')
    expect([...fields.entries()].filter(([name]) => name.startsWith('b')).map(([, value]) => value)).toEqual([
      'x y',
      '&',
    ])
    expect(fields.get('c')).toBe('\u20ac')
  })

  test('express.text() and express.raw(): byte for byte', async () => {
    const { upstream, gate } = await start(express.text(), express.raw())
    await post(gate.url, 'text/plain; charset=utf-8', 'caf\u00e9')
    expect(upstream.last.body.toString()).toBe('caf\u00e9')
    const bytes = Buffer.from([0, 255, 13, 10, 128])
    await post(gate.url, 'application/octet-stream', bytes)
    expect(upstream.last.body).toEqual(bytes)
  })

  test('a parser that does not feel meant leaves the stream alone', async () => {
    const { upstream, gate } = await start(express.json(), express.urlencoded())
    const body = '--x\r\ncontent-disposition: form-data; name="f"; filename="a"\r\n\r\nfile\r\n--x--\r\n'
    await post(gate.url, 'multipart/form-data; boundary=x', body)
    expect(upstream.last.body.toString()).toBe(body)
  })

  test('a multipart body that somebody has read: 500 before anything is dialled', async () => {
    const { upstream, gate } = await start((req, _res, next) => {
      req.resume().on('end', next)
    })
    const reply = await post(gate.url, 'multipart/form-data; boundary=x', '--x\r\n\r\nfile\r\n--x--\r\n')
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'body_already_read' })
    expect(upstream.connections).toBe(0)
  })

  test('a body that somebody has read in part: 500 before anything is dialled', async () => {
    const { upstream, gate } = await start((req, _res, next) => {
      req.once('data', () => {
        req.pause()
        next()
      })
    })
    const reply = await post(gate.url, 'text/plain', 'x'.repeat(100_000))
    expect(reply.status).toBe(500)
    expect(upstream.connections).toBe(0)
  })

  test('without a body there is nothing to be read already', async () => {
    const { gate } = await start(express.json(), express.urlencoded(), express.text(), express.raw())
    expect((await request(gate.url)).status).toBe(200)
    expect((await request(gate.url, { method: 'POST' })).status).toBe(200)
    expect((await request(gate.url, { method: 'DELETE' })).status).toBe(200)
  })
})
