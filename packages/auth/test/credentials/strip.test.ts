import { exchangeOf } from '@postern/contracts'
import { attachUpgrades, type ProxyHandler, proxy } from '@postern/proxy'
import { connectWebSocket, rawRequest, serve, startUpstream, startWebSocketUpstream } from '@postern/test-kit'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { withoutCookie } from '../../src/credentials/places/cookie-place.ts'
import { type TokenSource, TokenSources } from '../../src/credentials/token-sources.ts'
import { using } from './support.ts'

/** A gateway that strips the tokens of each list in turn, in front of an upstream. */
async function stripping(to: string, ...lists: readonly (readonly TokenSource[])[]) {
  const all = lists.map((list) => new TokenSources(list, 200))
  const handler: ProxyHandler = proxy({ target: to })
  const app = (req: Parameters<ProxyHandler>[0], res: Parameters<ProxyHandler>[1]): void => {
    for (const sources of all) sources.strip(req, exchangeOf(req, res))
    handler(req, res)
  }
  const served = await serve(app)
  attachUpgrades(served.server, app)
  return using({
    url: served.url,
    port: served.port,
    async close() {
      await served.close()
      await handler.close({ graceMs: 100 })
    },
  })
}

/** What the upstream is sent of a request. */
async function upstreamSees(lists: readonly (readonly TokenSource[])[], lines: readonly string[], target = '/') {
  const upstream = await using(startUpstream())
  const gateway = await stripping(upstream.url, ...lists)
  const head = [`GET ${target} HTTP/1.1`, 'Host: shop.test', ...lines].map((line) => `${line}\r\n`).join('')
  await rawRequest(gateway.port, `${head}\r\n`, { responses: 1 })
  return upstream.last
}

describe('what is taken out of the upstream request', () => {
  test('is the header, under every name that an upstream could take for it', async () => {
    const seen = await upstreamSees(
      [['header', { header: 'x-api-key' }]],
      ['AUTHORIZATION: Bearer abc', 'X-API-Key: k', 'X_Api_Key: k2', 'X-Other: stays'],
    )
    expect(seen.all('authorization')).toEqual([])
    expect(seen.rawHeaders.join('\n')).not.toMatch(/api.key/i)
    expect(seen.all('x-other')).toEqual(['stays'])
  })

  test('is the query parameter in every spelling; the rest stays byte for byte', async () => {
    const seen = await upstreamSees([[{ query: 'api_key' }]], [], '/a?x=%7e&api_key=abc&y=1+2&&api%5Fkey=z&z')
    expect(seen.url).toBe('/a?x=%7e&y=1+2&&z')
  })

  test('is that one cookie; the rest stays byte for byte', async () => {
    const cases = [
      ['session=abc', undefined],
      ['session=abc; b=2', 'b=2'],
      ['a=1; session=abc; b="2;  c=%zz', 'a=1; b="2;  c=%zz'],
      ['a=1;session=abc;b=2;', 'a=1;b=2;'],
      ['a=1; session=abc; session=xyz', 'a=1'],
      ['sessions=1; Session=2', 'sessions=1; Session=2'],
    ] as const
    for (const [line, left] of cases) {
      const seen = await upstreamSees([[{ cookie: 'session' }]], [`Cookie: ${line}`])
      expect(seen.headers.cookie, line).toBe(left)
    }
  })

  test('are the cookies of two schemes: neither puts the other back', async () => {
    const seen = await upstreamSees([[{ cookie: 'one' }], [{ cookie: 'two' }]], ['Cookie: one=1; a=1; two=2'])
    expect(seen.headers.cookie).toBe('a=1')
  })

  test('is nothing where there is no token', async () => {
    const seen = await upstreamSees(
      [[{ cookie: 'session' }, { query: 'token' }, { subprotocol: 'bearer' }, () => 'abc']],
      ['Cookie: a=1', 'Authorization: Basic dTpw'],
      '/a?b',
    )
    expect([seen.url, seen.headers.cookie, seen.headers.authorization]).toEqual(['/a?b', 'a=1', 'Basic dTpw'])
  })
})

describe('cookies beside the token', () => {
  test('are kept in their order and form, whatever they are', () => {
    const pair = fc.stringMatching(/^[!-:<-~]{0,12}$/).filter((text) => text.split('=')[0]?.trim() !== 'token')
    fc.assert(
      fc.property(fc.array(pair), fc.nat(), fc.constantFrom('; ', ';', ' ; '), (pairs, at, separator) => {
        const place = at % (pairs.length + 1)
        const line = pairs.toSpliced(place, 0, 'token=abc').join(separator)
        expect(
          withoutCookie(line, 'token')
            .split(';')
            .map((each) => each.trim()),
        ).toEqual(pairs.length === 0 ? [''] : pairs)
      }),
    )
  })
})

describe('a token in a sub-protocol', () => {
  const BEARER = [[{ subprotocol: 'bearer' }]] as const

  test('does not go upstream; what else was offered does, and the choice comes back', async () => {
    const upstream = await using(startWebSocketUpstream({ chooseProtocol: (offered) => [...offered][1]! }))
    const gateway = await stripping(upstream.url, ...BEARER)
    const client = await connectWebSocket(gateway.url, ['chat.v1', 'bearer', 'a.b.c', 'chat.v2'])
    expect(upstream.webSockets[0]!.headers['sec-websocket-protocol']).toBe('chat.v1, chat.v2')
    expect(client.protocol).toBe('chat.v2')
    client.send('hello')
    expect((await client.next()).data.toString()).toBe('hello')
    await client.close()
  })

  test('alone has the marker chosen, since a browser ends a connection whose offers are all passed over', async () => {
    const upstream = await using(startWebSocketUpstream())
    const gateway = await stripping(upstream.url, ...BEARER)
    const client = await connectWebSocket(gateway.url, ['bearer', 'a.b.c'])
    expect(upstream.webSockets[0]!.headers['sec-websocket-protocol']).toBeUndefined()
    expect(client.protocol).toBe('bearer')
    await client.close()
  })

  test('is gone wherever it stands, also behind a second marker or twice, and without an upgrade', async () => {
    for (const value of ['bearer, abc, bearer, xyz', 'abc, bearer, abc', 'bearer, abc, abc', 'bearer']) {
      const seen = await upstreamSees(BEARER, [`Sec-WebSocket-Protocol: ${value}`])
      expect(seen.headers['sec-websocket-protocol'], value).toBeUndefined()
    }
    const lines = ['Sec-WebSocket-Protocol: chat, bearer', 'Sec-WebSocket-Protocol: abc']
    expect((await upstreamSees(BEARER, lines)).all('sec-websocket-protocol')).toEqual(['chat'])
  })
})
