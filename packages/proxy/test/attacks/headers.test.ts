import { exchangeOf } from '@postern/contracts'
import { proxy } from '@postern/proxy'
import { answer, rawResponse, serve } from '@postern/test-kit'
import type { RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { expectRefused, firstSeen, type Gate, gate, HOSTS, head, requestLines, seenValues, using } from './support.ts'

/** An authentication stage: it knows who calls, whatever the client says. */
const authenticate: RequestHandler = (req, res, next) => {
  const { outgoing } = exchangeOf(req, res)
  outgoing.setReserved('X-Auth-User', 'alice')
  // A name that this stage owns and does not set for this client.
  outgoing.setReserved('X-Auth-Roles', undefined)
  next()
}

/** A request of these lines that is served; its first head at the upstream can then be read. */
async function send(gateway: Gate, ...lines: string[]) {
  const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a', ...lines), { responses: 1 })
  expect(answered.response.status).toBe(200)
  return answered.response
}

describe.each(HOSTS)('Headers of one connection, to %s', (where) => {
  it('that Connection names end here, in any case and in every Connection line', async () => {
    const gateway = await gate({ in: where })
    await send(
      gateway,
      'Connection: X-Hop, CLOSE',
      'X-Hop: 1',
      'X-HOP: 2',
      'connection: x-other',
      'X-Other: 3',
      'X-End: 4',
    )
    expect(seenValues(gateway, 'x-hop')).toEqual([])
    expect(seenValues(gateway, 'x-other')).toEqual([])
    expect(seenValues(gateway, 'x-end')).toEqual(['4'])
  })

  it('are dropped also when Connection does not name them', async () => {
    const gateway = await gate({ in: where })
    const names = [
      'Keep-Alive',
      'Proxy-Connection',
      'Proxy-Authorization',
      'Proxy-Authenticate',
      'Upgrade',
      'Trailer',
      'HTTP2-Settings',
    ]
    await send(gateway, 'TE: gzip', ...names.map((name) => `${name}: x`))
    for (const name of ['te', ...names.map((each) => each.toLowerCase())]) expect(seenValues(gateway, name)).toEqual([])
    expect(seenValues(gateway, 'connection')).toEqual(['keep-alive'])
  })

  it('cannot be made of Host, of the framing, or of what proves who calls', async () => {
    const gateway = await gate({ in: where, host: 'preserve' })
    const listed = 'Host, Content-Length, Transfer-Encoding, Authorization, Cookie, Content-Type, Via, X-Forwarded-For'
    const answered = await gateway.ask(
      `${head('POST /x HTTP/1.1', 'Host: shop.test', `Connection: ${listed}`, 'Authorization: Bearer t', 'Cookie: a=1', 'Content-Type: text/plain', 'Content-Length: 5')}hello`,
      { responses: 1 },
    )
    expect(answered.response.status).toBe(200)
    expect(seenValues(gateway, 'host')).toEqual(['shop.test'])
    expect(seenValues(gateway, 'content-length')).toEqual(['5'])
    expect(seenValues(gateway, 'authorization')).toEqual(['Bearer t'])
    expect(seenValues(gateway, 'cookie')).toEqual(['a=1'])
    expect(seenValues(gateway, 'content-type')).toEqual(['text/plain'])
    expect(seenValues(gateway, 'via')).toEqual(['1.1 postern'])
    expect(seenValues(gateway, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(firstSeen(gateway).rest).toBe('hello')
  })

  it('named by the upstream end here too', async () => {
    const upstream = answer(
      rawResponse('ok', {
        Connection: 'X-Hop, Set-Cookie',
        'X-Hop': '1',
        'Keep-Alive': 'timeout=5',
        'Proxy-Authenticate': 'Basic',
        'Proxy-Connection': 'keep-alive',
        Upgrade: 'h2c',
        'Set-Cookie': 'a=1',
      }),
    )
    const gateway = await gate({ in: where, upstream })
    const { headers } = await send(gateway)
    for (const name of ['x-hop', 'proxy-authenticate', 'proxy-connection', 'upgrade'])
      expect(headers[name]).toBeUndefined()
    expect(headers['keep-alive']).not.toBe('timeout=5, timeout=5')
    expect(headers['set-cookie']).toBe('a=1')
  })
})

describe('Headers that the gateway vouches for', () => {
  it.each([
    ['in its own name', 'X-Auth-User: root'],
    ['in another case', 'x-aUTH-uSER: root'],
    ['with underscores', 'X_Auth_User: root'],
    ['half with underscores', 'X-Auth_User: root'],
    ['with "Expect: 100-continue" beside it', 'Expect: 100-continue\r\nX-Auth-User: root'],
    ['named in Connection', 'Connection: X-Auth-User\r\nX-Auth-User: root'],
    ['named in Connection, and not sent', 'Connection: X-Auth-User, X_Auth_User'],
    ['in a second line', 'X-Auth-User: root\r\nX-Auth-User: toor'],
  ])('are its own: a forged one %s is gone', async (_how, lines) => {
    const gateway = await gate({ before: [authenticate] })
    await send(gateway, lines)
    expect(seenValues(gateway, 'x-auth-user')).toEqual(['alice'])
    expect(firstSeen(gateway).raw).not.toMatch(/root|toor/)
  })

  it('and has not set are gone as well', async () => {
    const gateway = await gate({ before: [authenticate] })
    await send(gateway, 'X-Auth-Roles: admin', 'X_AUTH_ROLES: admin')
    expect(firstSeen(gateway).raw).not.toContain('admin')
  })

  it.each(['X-Team: evil', 'x_team: evil', 'X_TEAM: evil', 'Connection: x-team\r\nX-Team: evil'])(
    'and sets by its options cannot be doubled under another spelling: %s',
    async (lines) => {
      const gateway = await gate({ requestHeaders: { set: { 'X-Team': 'shop' } } })
      await send(gateway, lines)
      expect(seenValues(gateway, 'x-team')).toEqual(['shop'])
      expect(firstSeen(gateway).raw).not.toContain('evil')
    },
  )

  it.each(['X-Internal: evil', 'x_internal: evil'])(
    'and removes by its options are gone under any spelling: %s',
    async (line) => {
      const gateway = await gate({ requestHeaders: { remove: ['X-Internal'] } })
      await send(gateway, line)
      expect(firstSeen(gateway).raw).not.toContain('evil')
    },
  )
})

// `req.headers` shows a handler the first line alone: what it has authorised must be what the upstream reads.
describe('A header that may stand only once', () => {
  it.each([
    'Authorization: Bearer mine\r\nAuthorization: Bearer root',
    'Content-Type: text/plain\r\ncontent-type: application/json',
  ])('is refused when it says two things: %j', async (lines) => {
    const gateway = await gate()
    const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a', lines))
    expectRefused(gateway, answered, 400)
    expect(JSON.parse(answered.response.body.toString())).toMatchObject({ code: 'bad_request_header' })
  })

  it('goes on once when it says the same twice', async () => {
    const gateway = await gate()
    await send(gateway, 'Authorization: Bearer t', 'authorization: Bearer t')
    expect(seenValues(gateway, 'authorization')).toEqual(['Bearer t'])
  })
})

const FAMILY = [
  'X-Forwarded-For: 6.6.6.6',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.test',
  'X-Forwarded-Port: 666',
  'X-Forwarded-Prefix: /evil',
  'X-Forwarded-Server: evil.test',
  'Forwarded: for=6.6.6.6;host=evil.test',
  'X-Real-IP: 6.6.6.6',
  'X-Client-IP: 6.6.6.6',
]

describe('What a client says about itself', () => {
  it.each(HOSTS)('is replaced as a whole when nobody trusts it, in %s', async (where) => {
    const gateway = await gate({ in: where, forwarded: 'both' })
    await send(gateway, ...FAMILY, ...FAMILY.map((line) => line.replace(/-(?=[^:]*:)/g, '_')))
    expect(firstSeen(gateway).raw).not.toMatch(/evil|666|6\.6\.6\.6|https/)
    expect(seenValues(gateway, 'x-forwarded-for')).toEqual(['127.0.0.1'])
    expect(seenValues(gateway, 'x-forwarded-proto')).toEqual(['http'])
    expect(seenValues(gateway, 'x-forwarded-host')).toEqual(['a'])
    expect(seenValues(gateway, 'forwarded')).toEqual(['for=127.0.0.1;proto=http;host="a"'])
  })

  it('is replaced when "trust proxy" covers other addresses only', async () => {
    const gateway = await gate({ trustProxy: '10.0.0.0/8' })
    await send(gateway, ...FAMILY)
    expect(firstSeen(gateway).raw).not.toMatch(/evil|666|6\.6\.6\.6|https/)
  })

  it('is kept from a trusted peer, and the peer comes last', async () => {
    const gateway = await gate({ trustProxy: 'loopback', forwarded: 'both' })
    await send(
      gateway,
      'X-Forwarded-For: 9.9.9.9',
      'X-Forwarded-For: 8.8.8.8',
      'Forwarded: for=9.9.9.9',
      'X-Forwarded-Proto: https',
    )
    expect(seenValues(gateway, 'x-forwarded-for')).toEqual(['9.9.9.9, 8.8.8.8, 127.0.0.1'])
    expect(seenValues(gateway, 'forwarded')).toEqual(['for=9.9.9.9, for=127.0.0.1;proto=http;host="a"'])
    expect(seenValues(gateway, 'x-forwarded-proto')).toEqual(['https'])
  })

  it('is gone, and nothing stands for it, when the proxy is told to say nothing', async () => {
    const gateway = await gate({ forwarded: 'none' })
    await send(gateway, ...FAMILY)
    expect(firstSeen(gateway).raw).not.toMatch(/forwarded|real-ip|client-ip/i)
  })
})

describe('Headers that ask to be taken for another request', () => {
  const OVERRIDES = [
    'X-Original-URL: /admin',
    'X-Original-URI: /admin',
    'X-Rewrite-URL: /admin',
    'X-HTTP-Method-Override: DELETE',
    'X-HTTP-Method: DELETE',
    'X-Method-Override: DELETE',
  ]

  it.each(OVERRIDES)('are dropped, and change nothing: %s', async (line) => {
    const gateway = await gate()
    await send(gateway, line, line.replace(/-(?=[^:]*:)/g, '_'))
    expect(firstSeen(gateway).line).toBe('GET /x HTTP/1.1')
    expect(firstSeen(gateway).raw).not.toMatch(/admin|DELETE/)
  })

  it.each(OVERRIDES)('do not take a request past a rule: %s', async (line) => {
    const gateway = await gate()
    const answered = await gateway.ask(head('GET /admin HTTP/1.1', 'Host: a', line.replace('/admin', '/x')), {
      responses: 1,
    })
    expect(answered.response.status).toBe(403)
    expect(gateway.upstream.received).toBe('')
  })

  it('cannot steer the gateway by names of its own', async () => {
    const gateway = await gate()
    await send(gateway, 'X-Postern-Target: http://evil.test', 'X_Postern_Target: http://evil.test')
    expect(firstSeen(gateway).raw).not.toContain('evil')
  })

  it('"Proxy" never reaches an upstream that reads it as HTTP_PROXY', async () => {
    const gateway = await gate()
    await send(gateway, 'Proxy: http://evil.test:8080')
    expect(firstSeen(gateway).raw).not.toContain('evil')
  })
})

describe.each(HOSTS)('Host, to %s,', (where) => {
  it.each([
    ['is missing', []],
    ['comes twice', ['Host: a', 'Host: b']],
    ['comes twice and equal', ['Host: a', 'Host: a']],
    ['is empty', ['Host:']],
    ['is a list', ['Host: a, b']],
    ['holds userinfo', ['Host: user@a']],
    ['holds userinfo and a password', ['Host: a:80@b']],
    ['holds a path', ['Host: a/admin']],
    ['holds a query', ['Host: a?x']],
    ['holds a fragment', ['Host: a#x']],
    ['holds a backslash', ['Host: a\\b']],
    ['holds a space', ['Host: a b']],
    ['holds a tab', ['Host: a\tb']],
    ['holds a control byte', ['Host: a\x01b']],
    ['holds a NUL', ['Host: a\0b']],
    ['holds a port that is none', ['Host: a:http']],
    ['holds two ports', ['Host: a:80:81']],
    ['holds a port of many digits', ['Host: a:800000']],
    ['holds a percent-encoded byte', ['Host: a%2fb']],
    ['holds bytes beyond ASCII', ['Host: \xe9.test']],
    ['is an unclosed bracket', ['Host: [::1']],
    ['has a zone id', ['Host: [fe80::1%25eth0]']],
    ['is a whole URL', ['Host: http://a']],
    ['is longer than a name may be', [`Host: ${'a'.repeat(300)}`]],
  ])('is refused when it %s', async (_name, lines) => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(head('GET /x HTTP/1.1', ...lines))
    expectRefused(gateway, answered, 400)
    expect(answered.endedBy).toBe('end')
  })

  it.each(['a', 'A.Test', 'a.test:8080', '127.0.0.1', '[::1]', '[::1]:8080', 'a_b.test'])(
    'passes as it came, once: %s',
    async (name) => {
      const gateway = await gate({ in: where, host: 'preserve' })
      await gateway.ask(head('GET /x HTTP/1.1', `Host: ${name}`), { responses: 1 })
      expect(seenValues(gateway, 'host')).toEqual([name])
    },
  )

  it('is that of the target by default, whatever the client sent', async () => {
    const gateway = await gate({ in: where })
    await send(gateway)
    expect(seenValues(gateway, 'host')).toEqual([`127.0.0.1:${gateway.upstream.port}`])
  })

  it('differs from the authority of the target: refused', async () => {
    const gateway = await gate({ in: where })
    expectRefused(gateway, await gateway.ask(head('GET http://b/x HTTP/1.1', 'Host: a')), 400)
  })

  it('equals the authority of the target: sent on in origin-form', async () => {
    const gateway = await gate({ in: where, host: 'preserve' })
    const answered = await gateway.ask(head('GET http://A/x?y HTTP/1.1', 'Host: a'), { responses: 1 })
    expect(answered.response.status).toBe(200)
    expect(requestLines(gateway)).toEqual(['GET /x?y HTTP/1.1'])
    expect(seenValues(gateway, 'host')).toEqual(['a'])
  })
})

describe('What a rewrite makes of request data', () => {
  it.each([
    ['CR LF', '/x\r\nX-Evil: 1'],
    ['LF', '/x\nX-Evil: 1'],
    ['a space and a version', '/x HTTP/1.1'],
    ['a character whose low byte is LF', '/x\u010aX-Evil: 1'],
    ['nothing', ''],
    ['no slash in front', 'evil'],
  ])('cannot break the request line: %s in a rewritten path', async (_name, path) => {
    const gateway = await gate({ rewritePath: () => path })
    const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a'), { responses: 1 })
    expect([400, 500]).toContain(answered.response.status)
    expect(gateway.upstream.received).toBe('')
    expect(gateway.handler.stats.active).toBe(0)
  })

  it.each(['a\r\nX-Evil: 1', 'a\nb', 'a\u010aX-Evil: 1', 'a\0b'])(
    'cannot break a header that a stage sets: %j',
    async (value) => {
      const set: RequestHandler = (req, res, next) => {
        exchangeOf(req, res).outgoing.editRequestHeader({ op: 'set', name: 'x-set', value })
        next()
      }
      const gateway = await gate({ before: [set] })
      const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a'), { responses: 1 })
      expect([400, 500]).toContain(answered.response.status)
      expect(gateway.upstream.received).toBe('')
      expect(gateway.handler.stats.active).toBe(0)
    },
  )

  it.each(['x-set: 1\r\nx-evil', 'x set', '', 'x\u010aset'])(
    'cannot break the name of a header that a hook sets: %j',
    async (name) => {
      const gateway = await gate({ onRequest: (_exchange, request) => request.setHeader(name, '1') })
      const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a'), { responses: 1 })
      expect([400, 500]).toContain(answered.response.status)
      expect(gateway.upstream.received).toBe('')
    },
  )

  it.each(['GET /admin HTTP/1.1\r\nHost: a\r\n\r\nGET', 'G T', ''])(
    'cannot break the method that a hook sets: %j',
    async (method) => {
      const gateway = await gate({
        onRequest: (_exchange, request) => {
          request.method = method
        },
      })
      const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a'), { responses: 1 })
      expect([400, 500]).toContain(answered.response.status)
      expect(gateway.upstream.received).toBe('')
    },
  )

  it.each(['a\r\nX-Evil: 1', 'a\u010a'])('cannot break a header of the answer: %j', async (value) => {
    const set: RequestHandler = (req, res, next) => {
      exchangeOf(req, res).outgoing.editResponseHeader({ op: 'set', name: 'x-set', value })
      next()
    }
    const gateway = await gate({ before: [set] })
    const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a'), { responses: 1 })
    expect(answered.response.status).toBeGreaterThanOrEqual(500)
    expect(answered.text).not.toMatch(/x-evil/i)
    await expect.poll(() => gateway.handler.stats.active).toBe(0)
  })
})

describe('Names of JavaScript itself', () => {
  it('pass as request headers like any other', async () => {
    const gateway = await gate()
    await send(gateway, '__proto__: polluted', 'constructor: 1', 'toString: 2', 'hasOwnProperty: 3', '__proto__: again')
    expect(seenValues(gateway, '__proto__')).toEqual(['polluted', 'again'])
    expect(seenValues(gateway, 'constructor')).toEqual(['1'])
    expect(seenValues(gateway, 'tostring')).toEqual(['2'])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  it('pass as response headers like any other', async () => {
    const lines = ['__proto__: a', '__proto__: b', 'constructor: 1', 'toString: 2', 'hasOwnProperty: 3']
    const gateway = await gate({
      upstream: answer(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\nContent-Length: 2\r\n\r\nok`),
    })
    const { headers } = await send(gateway)
    expect(Object.entries(headers)).toContainEqual(['__proto__', 'a, b'])
    expect(headers.constructor).toBe('1')
    expect(headers.tostring).toBe('2')
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  it('pass in the query, byte for byte', async () => {
    const gateway = await gate()
    const target = '/x?__proto__[polluted]=1&constructor[prototype][polluted]=1'
    await gateway.ask(head(`GET ${target} HTTP/1.1`, 'Host: a'), { responses: 1 })
    expect(requestLines(gateway)).toEqual([`GET ${target} HTTP/1.1`])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

describe('A request that goes round in circles', () => {
  it('ends with 508 when it has passed Postern gateways too often', async () => {
    const gateway = await gate({ maxHops: 3 })
    const answered = await gateway.ask(
      head('GET /x HTTP/1.1', 'Host: a', 'Via: 1.1 postern, 1.1 other', 'Via: 1.1 postern, 1.1 postern'),
      { responses: 1 },
    )
    expect(answered.response.status).toBe(508)
    expect(gateway.upstream.received).toBe('')
  })

  it('ends also when the client has named Via in Connection', async () => {
    let passes = 0
    const holder: { url?: string } = {}
    const served = await using(
      serve((req, res) => {
        passes++
        handler(req, res)
      }),
    )
    holder.url = served.url
    const handler = proxy({ target: served.url, maxHops: 4 })
    const gateway = await gate({ target: served.url })
    const answered = await gateway.ask(head('GET /x HTTP/1.1', 'Host: a', 'Connection: Via'), { responses: 1 })
    expect(answered.response.status).toBe(508)
    expect(passes).toBeLessThanOrEqual(5)
    await handler.close({ graceMs: 100 })
  })
})
