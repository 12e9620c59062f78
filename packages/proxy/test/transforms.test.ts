import { Readable, Transform } from 'node:stream'
import { createGunzip, createGzip, gunzipSync, gzipSync } from 'node:zlib'
import type { ProxyOptions } from '@postern/proxy'
import { answer, eventually, neverRead, rawResponse, request, startRawUpstream, startUpstream } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { rawClient, startApp, using } from './behaviour.ts'

type Transforms = NonNullable<ProxyOptions['transforms']>

function upperCase(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, chunk.toString('latin1').toUpperCase())
    },
  })
}

/** Fails on the first chunk, or only when the body is over. */
function failing(when: 'chunk' | 'flush'): Transform {
  return new Transform({
    transform(chunk, _encoding, done) {
      if (when === 'chunk') done(new Error('the secret of the stream'))
      else done(null, chunk)
    },
    flush(done) {
      done(new Error('the secret of the stream'))
    },
  })
}

describe('transforms.response', () => {
  test('changes the body; its length is not known any more, its validator is weak', async () => {
    const upstream = await using(
      startUpstream((_req, res) => {
        res.writeHead(200, {
          'content-length': 5,
          etag: '"abc"',
          'accept-ranges': 'bytes',
          'content-digest': 'sha-256=:x:',
          'content-type': 'text/plain',
        })
        res.end('hello')
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response: upperCase } } })
    const reply = await request(app.url)
    expect(reply).toMatchObject({ status: 200, text: 'HELLO', complete: true })
    expect(reply.headers).toMatchObject({
      'transfer-encoding': 'chunked',
      etag: 'W/"abc"',
      'content-type': 'text/plain',
    })
    for (const name of ['content-length', 'accept-ranges', 'content-digest']) {
      expect(reply.headers[name]).toBeUndefined()
    }
    expect(app.exchanges[0]!.responseBodyBytes).toBe(5)
    expect(app.outcomes).toMatchObject([{ status: 200 }])
  })

  test('a compressed body through gunzip, a change and gzip', async () => {
    const text = 'the quick brown fox '.repeat(20_000)
    const upstream = await using(
      startUpstream((_req, res) => void res.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text))),
    )
    const response: Transforms['response'] = () => throughAll(createGunzip(), upperCase(), createGzip())
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
    const reply = await request(app.url)
    expect(reply.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(reply.body).toString()).toBe(text.toUpperCase())
  })

  test('undefined leaves a body alone, length and validator too', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.writeHead(200, { etag: '"a"' }).end('hello')))
    const seen: number[] = []
    const response: Transforms['response'] = (_exchange, message) => void seen.push(message.status)
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
    const reply = await request(app.url)
    expect(reply.text).toBe('hello')
    expect(reply.headers.etag).toBe('"a"')
    expect(seen).toEqual([200])
  })

  test.each([
    ['HEAD', { method: 'HEAD' }, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n', 200],
    ['204', {}, 'HTTP/1.1 204 No Content\r\nETag: "a"\r\n\r\n', 204],
    ['304', {}, 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', 304],
  ])(
    '%s has no body to change: no stream is made, and the head is as it came',
    async (_what, options, bytes, status) => {
      const upstream = await using(startRawUpstream(answer(bytes)))
      let made = 0
      const response: Transforms['response'] = () => {
        made++
        return upperCase()
      }
      const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
      for (let i = 0; i < 2; i++) {
        const reply = await request(app.url, options)
        expect(reply).toMatchObject({ status, text: '', complete: true })
        expect(reply.headers.etag).toBe('"a"')
      }
      expect(made).toBe(0)
    },
  )

  test('more than maxBytes is cut', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.end('x'.repeat(1_000))))
    const transforms = { response: upperCase, maxBytes: 999 }
    const app = await startApp({ to: upstream.url, proxy: { transforms } })
    const reply = await request(app.url).catch((error: Error) => error)
    expect(reply).not.toMatchObject({ complete: true })
    expect(app.exchanges[0]!.failure).toMatchObject({ type: 'proxy_internal_error', side: 'gateway' })
    const enough = await startApp({ to: upstream.url, proxy: { transforms: { response: upperCase, maxBytes: 1_000 } } })
    expect((await request(enough.url)).text.length).toBe(1_000)
  })

  test('a small body that would grow without end is stopped at the cap', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.end(gzipSync(Buffer.alloc(64 << 20)))))
    const transforms = { response: () => createGunzip(), maxBytes: 1 << 20 }
    const app = await startApp({ to: upstream.url, proxy: { transforms } })
    const reply = await request(app.url)
    expect(reply.complete).toBe(false)
    expect(reply.body.length).toBeLessThanOrEqual(1 << 20)
  })

  test.each(['chunk', 'flush'] as const)(
    'an error on the %s is contained: cut, in the exchange, and not the target’s',
    async (when) => {
      const upstream = await using(startUpstream((_req, res) => void res.end('hello')))
      const app = await startApp({ to: upstream.url, proxy: { transforms: { response: () => failing(when) } } })
      const reply = await request(app.url).catch(() => ({ complete: false, text: '' }))
      expect(reply.complete).toBe(false)
      expect(reply.text).not.toContain('secret')
      expect(app.exchanges[0]!.failure).toMatchObject({ type: 'proxy_internal_error', side: 'gateway' })
      expect(app.outcomes[0]).not.toMatchObject({ side: 'upstream' })
      await eventually(() => expect(app.handler.stats.active).toBe(0))
    },
  )

  test('gunzip of what is no gzip is contained', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.end('not gzip at all')))
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response: () => createGunzip() } } })
    const reply = await request(app.url).catch(() => ({ complete: false }))
    expect(reply.complete).toBe(false)
    expect((await request(app.url).catch(() => ({ complete: false }))).complete).toBe(false)
  })

  test('a function that throws is a 500 hook_failed', async () => {
    const upstream = await using(startUpstream())
    const response = () => {
      throw new Error('broken')
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
    const reply = await request(app.url)
    expect(reply.status).toBe(500)
    expect(reply.json()).toMatchObject({ code: 'hook_failed' })
    expect(app.outcomes).toMatchObject([{ status: 200 }])
  })

  // A stream that is destroyed without an error emits neither end nor error, and the client waited for ever.
  test('a stream that the app destroys is a cut, not a wait', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.end('hello')))
    const made: Transform[] = []
    const response = () => {
      const transform = new Transform({ transform: () => void setImmediate(() => transform.destroy()) })
      made.push(transform)
      return transform
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
    const reply = await request(app.url, { timeoutMs: 2_000 }).catch((error: Error) => error)
    expect(String(reply)).not.toContain('took longer')
    expect(reply).not.toMatchObject({ complete: true })
    expect(made.length).toBe(1)
    await eventually(() => expect(app.exchanges[0]!.failure).toMatchObject({ type: 'proxy_internal_error' }))
  })

  // What the stream held (a file, a native handle) stayed open behind a client that had left.
  test.each(['comes', 'is over'])('a client that leaves while the body %s destroys the stream', async (how) => {
    const upstream = await using(
      startUpstream((_req, res) => {
        if (how === 'comes') res.write('hello')
        else res.end('hello')
      }),
    )
    const made: Transform[] = []
    const response = () => {
      const transform = new Transform({
        transform: (chunk, _encoding, done) => done(null, chunk),
        // Never done.
        flush: () => {},
      })
      made.push(transform)
      return transform
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await client.has('hello')
    if (how === 'is over') await eventually(() => expect(app.outcomes[0]).toBeDefined())
    client.socket.destroy()
    await eventually(() => expect(made[0]!.destroyed).toBe(true), { timeoutMs: 2_000 })
  })

  test('an upstream that breaks off cuts the answer and destroys the stream', async () => {
    const upstream = await using(startUpstream((_req, res) => void res.write('hello')))
    const made: Transform[] = []
    const response = () => {
      made.push(upperCase())
      return made[0]
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { response } } })
    const replied = request(app.url)
    await eventually(() => expect(app.exchanges[0]?.responseBodyBytes).toBe(5))
    upstream.cut()
    expect(await replied).toMatchObject({ text: 'HELLO', complete: false })
    expect(made[0]!.destroyed).toBe(true)
  })

  test('a client that does not read holds the upstream back', async () => {
    const total = 96 << 20
    let written = 0
    const chunk = Buffer.alloc(1 << 18, 0x61)
    const upstream = await using(
      startUpstream((_req, res) => {
        const write = (): void => {
          while (written < total) {
            written += chunk.length
            if (!res.write(chunk)) return void res.once('drain', write)
          }
          res.end()
        }
        write()
      }),
    )
    const transforms = { response: upperCase, maxBytes: total }
    const app = await startApp({ to: upstream.url, proxy: { transforms } })
    const client = await rawClient(app.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
    await client.has('200 OK')
    client.socket.pause()
    await standsStill(() => written)
    expect(written).toBeLessThan(total)
    client.socket.resume()
    await eventually(() => expect(client.bytes).toBeGreaterThan(total), { timeoutMs: 20_000 })
  })
})

describe('transforms.request', () => {
  test('changes the body, which goes on in chunks', async () => {
    const upstream = await using(startUpstream())
    const request_: Transforms['request'] = (_exchange, sent) => {
      sent.setHeader('x-changed', 'yes')
      return upperCase()
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { request: request_ } } })
    expect((await request(app.url, { method: 'POST', body: 'hello' })).status).toBe(200)
    expect(upstream.last.body.toString()).toBe('HELLO')
    expect(upstream.last.headers).toMatchObject({ 'transfer-encoding': 'chunked', 'x-changed': 'yes' })
    expect(upstream.last.headers['content-length']).toBeUndefined()
  })

  test('is not asked about a request without a body', async () => {
    const upstream = await using(startUpstream())
    let asked = 0
    const request_ = () => {
      asked++
      return upperCase()
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { request: request_ } } })
    expect((await request(app.url)).status).toBe(200)
    expect(asked).toBe(0)
  })

  test('a large upload passes through whole', async () => {
    const upstream = await using(startUpstream())
    const transforms = { request: upperCase, maxBytes: 32 << 20 }
    const app = await startApp({ to: upstream.url, proxy: { transforms } })
    const body = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(100_000, 0x61)))
    expect((await request(app.url, { method: 'PUT', body })).status).toBe(200)
    expect(upstream.last.body.equals(Buffer.alloc(10_000_000, 0x41))).toBe(true)
  })

  test('an upstream that does not read holds the client back', async () => {
    const upstream = await using(startRawUpstream(neverRead()))
    const transforms = { request: upperCase, maxBytes: 1 << 30 }
    const app = await startApp({ to: upstream.url, proxy: { transforms } })
    const client = await rawClient(app.port, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 201326592\r\n\r\n')
    let written = 0
    const chunk = Buffer.alloc(1 << 18)
    const write = (): void => {
      while (written < 192 << 20) {
        written += chunk.length
        if (!client.socket.write(chunk)) return void client.socket.once('drain', write)
      }
    }
    write()
    await standsStill(() => written)
    expect(written).toBeLessThan(192 << 20)
  })

  test.each(['chunk', 'flush'] as const)(
    'an error on the %s is contained: 500, and never a whole request',
    async (when) => {
      const upstream = await using(startUpstream())
      const app = await startApp({ to: upstream.url, proxy: { transforms: { request: () => failing(when) } } })
      const reply = await request(app.url, { method: 'POST', body: 'hello' })
      expect(reply.status).toBe(500)
      expect(reply.text).not.toContain('secret')
      expect(upstream.requests.filter((each) => each.complete)).toEqual([])
      expect(app.outcomes).toMatchObject([{ type: 'proxy_internal_error', side: 'gateway' }])
      await eventually(() => expect(app.handler.stats.active).toBe(0))
    },
  )

  test('more than maxBytes is a 500, and never a whole request', async () => {
    const upstream = await using(startUpstream())
    const transforms = { request: upperCase, maxBytes: 10 }
    const app = await startApp({ to: upstream.url, proxy: { transforms } })
    expect((await request(app.url, { method: 'POST', body: 'x'.repeat(11) })).status).toBe(500)
    expect(upstream.requests.filter((each) => each.complete)).toEqual([])
  })

  test('a function that throws is a 500 hook_failed, and nothing is sent', async () => {
    const upstream = await using(startUpstream())
    const request_ = () => {
      throw new Error('broken')
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { request: request_ } } })
    const reply = await request(app.url, { method: 'POST', body: 'hello' })
    expect(reply.json()).toMatchObject({ code: 'hook_failed' })
    expect(upstream.connections).toBe(0)
  })

  test('a stream that the app destroys ends the request', async () => {
    const upstream = await using(startUpstream())
    const request_ = () => {
      const transform = new Transform({ transform: () => void setImmediate(() => transform.destroy()) })
      return transform
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { request: request_ } } })
    const reply = await request(app.url, { method: 'POST', body: 'hello', timeoutMs: 2_000 })
    expect(reply.status).toBe(500)
    await eventually(() => expect(upstream.sockets).toBe(0))
  })

  test('a client that leaves destroys the stream and the upstream request', async () => {
    const upstream = await using(startUpstream())
    const made: Transform[] = []
    const request_ = () => {
      made.push(upperCase())
      return made[0]
    }
    const app = await startApp({ to: upstream.url, proxy: { transforms: { request: request_ } } })
    const client = await rawClient(app.port, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf')
    await eventually(() => expect(upstream.last.body.toString()).toBe('HALF'))
    client.socket.destroy()
    await eventually(() => expect(upstream.sockets).toBe(0))
    expect(made[0]!.destroyed).toBe(true)
    expect(app.outcomes).toMatchObject([{ side: 'client' }])
  })

  test('the connection serves the next request behind an early answer', async () => {
    const upstream = await using(
      startUpstream((req, res) => {
        if (req.method === 'POST') res.writeHead(413).end('too much')
        else res.end('next')
      }),
    )
    const app = await startApp({ to: upstream.url, proxy: { transforms: { request: upperCase } } })
    const client = await rawClient(
      app.port,
      `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(500_000)}`,
    )
    await client.has('too much')
    client.socket.write(`${'x'.repeat(500_000)}GET / HTTP/1.1\r\nhost: a\r\n\r\n`)
    await eventually(() => expect(client.closed || client.ended || client.text.endsWith('next')).toBe(true))
  })
})

/** One stream out of several. */
function throughAll(...streams: Transform[]): Transform {
  const [first, last] = [streams[0]!, streams.at(-1)!]
  for (const [i, stream] of streams.slice(0, -1).entries()) stream.pipe(streams[i + 1]!)
  const whole = new Transform({
    transform(chunk, _encoding, done) {
      if (first.write(chunk)) done()
      else first.once('drain', () => done())
    },
    flush(done) {
      last.once('end', () => done())
      first.end()
    },
  })
  last.on('data', (chunk) => whole.push(chunk))
  return whole
}

async function standsStill(ask: () => number): Promise<void> {
  let last = -1
  let since = performance.now()
  await eventually(
    () => {
      const value = ask()
      if (value !== last) {
        last = value
        since = performance.now()
      }
      return value > 0 && performance.now() - since > 200
    },
    { timeoutMs: 15_000 },
  )
}

test('a body that a script of raw bytes sends in one piece is changed as any other', async () => {
  const upstream = await using(startRawUpstream(answer(rawResponse('raw'))))
  const app = await startApp({ to: upstream.url, proxy: { transforms: { response: upperCase } } })
  expect((await request(app.url)).text).toBe('RAW')
})
