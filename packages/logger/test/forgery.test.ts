import express from 'express'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { logger } from '../src/index.ts'
import { Lines, sendRaw, serve } from './support.ts'

const COMBINED =
  /^(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$/
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b-\u200d\u2060\ufeff]/u

/** A server that logs each request in both formats, and tells which requests it has seen. */
async function start() {
  const json = new Lines()
  const combined = new Lines()
  const headers = ['x-evil', 'x-other', 'authorization', 'x-api-key']
  const first = logger({
    stream: json,
    flushIntervalMs: 0,
    headers,
    fields: (e) => ({ again: e.request.headers['x-evil'] }),
  })
  const second = logger({ stream: combined, flushIntervalMs: 0, format: 'combined' })
  onTestFinished(async () => {
    await first.close()
    await second.close()
  })
  let seen = 0
  const app = express()
  app.use(first, second, (_req, res) => {
    seen++
    res.end()
  })
  // Node's lenient parser lets control characters into header values; the log must not rely on the strict one.
  const { port } = await serve(app, { insecureHTTPParser: true })
  return {
    port,
    /** Sends bytes, and gives the lines that came of it, with the number of requests that Node let through. */
    async send(bytes: string) {
      const before = { json: json.all.length, combined: combined.all.length, seen }
      await sendRaw(port, bytes)
      await first.flush()
      await second.flush()
      return {
        seen: seen - before.seen,
        json: json.all.slice(before.json),
        combined: combined.all.slice(before.combined),
      }
    },
  }
}

/** Bytes as a client may send them, one character a byte, with what is worth trying more often than chance would. */
const bytes = fc
  .array(
    fc.oneof(
      fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 8 }),
      fc.constantFrom(
        '"',
        '\\',
        '\\"',
        '\t',
        '\x1b[31m',
        '\x85',
        '\x9b2J',
        '%0d%0a',
        '{"level":"error"}',
        // U+2028 and U+202E in UTF-8, byte by byte.
        '\xe2\x80\xa8',
        '\xe2\x80\xae',
        '\r\n',
        '\n',
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''))
/** What Node lets through in a header's value and in a target, so that most of them reach the app. */
const inHeader = bytes.map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, ''))
const inUrl = bytes.map((text) => text.replace(/[^\x21-\x7e]/g, ''))

describe('whatever a client sends', () => {
  it('becomes exactly one well-formed line a request, in both formats', async () => {
    const { send } = await start()
    let requests = 0
    await fc.assert(
      fc.asyncProperty(inUrl, inUrl, inHeader, inHeader, inHeader, async (path, query, agent, referer, evil) => {
        const { seen, json, combined } = await send(
          `GET /${path}?q=${query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: ${agent}\r\nReferer: ${referer}\r\nX-Request-Id: ${evil}\r\nX-Evil: ${evil}\r\n\r\n`,
        )
        requests += seen
        expect(json).toHaveLength(seen)
        expect(combined).toHaveLength(seen)
        for (const line of json) {
          expect(line).not.toMatch(UNPRINTABLE)
          expect(JSON.parse(line)).toMatchObject({ level: 'info', method: 'GET', status: 200, client: '127.0.0.1' })
        }
        for (const line of combined) {
          expect(line).not.toMatch(UNPRINTABLE)
          expect(COMBINED.exec(line)?.[6]).toBe('200')
        }
      }),
      { numRuns: 300 },
    )
    // Node itself refuses some of them; the property would be hollow if it refused most.
    expect(requests).toBeGreaterThan(100)
  })

  it('splits no line, even where it splits the request', async () => {
    const { send } = await start()
    await fc.assert(
      fc.asyncProperty(bytes, bytes, async (target, header) => {
        const { seen, json, combined } = await send(
          `GET /${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: ${header}\r\n\r\n`,
        )
        expect(json).toHaveLength(seen)
        expect(combined).toHaveLength(seen)
        // Rubbish behind a request ends the connection, at times before its answer is out.
        for (const line of json) expect([200, 499]).toContain(JSON.parse(line).status)
        for (const line of combined) expect(line).toMatch(COMBINED)
      }),
      { numRuns: 200 },
    )
  })

  it('fills no log: values are cut, and marked as cut', async () => {
    const { send } = await start()
    const long = 'x'.repeat(3000)
    const { json, combined } = await send(
      `GET /${long}?${long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: ${long}\r\nX-Evil: ${long}\r\n\r\n`,
    )
    const line = JSON.parse(json[0]!) as Record<string, string>
    expect(line.path).toHaveLength(2048 + '...[cut 953]'.length)
    expect(line.userAgent).toMatch(/^x{2048}\.\.\.\[cut 952\]$/)
    expect(line.again).toMatch(/\[cut 952\]$/)
    expect(combined[0]!.length).toBeLessThan(3 * 2100)
  })
})

describe('whatever secret a client sends under a secret name', () => {
  it('is in no line', async () => {
    const { send } = await start()
    const secret = fc.stringMatching(/^[A-Za-z0-9._~!$*(),;:@/?+-]{12,30}$/).map((text) => `Z${text}Z`)
    const name = fc.constantFrom(
      'access_token',
      'TOKEN',
      'api%5Fkey',
      'user[password]',
      'X-Amz-Signature',
      'code',
      'sig',
    )
    await fc.assert(
      fc.asyncProperty(name, secret, async (parameter, value) => {
        const url = `/cb?a=1&${parameter}=${value}&b=2`
        const { seen, json, combined } = await send(
          `GET ${url} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${value}\r\nX-Api-Key: ${value}\r\nCookie: s=${value}\r\nReferer: http://a${url}\r\nX-Other: Basic ${value}\r\nUser-Agent: x ${url}\r\n\r\n`,
        )
        expect(seen).toBe(1)
        expect(json.join()).not.toContain(value)
        expect(combined.join()).not.toContain(value)
        expect(JSON.parse(json[0]!).query).toMatch(/^a=1&.*&b=2$/)
      }),
      { numRuns: 150 },
    )
  })
})
