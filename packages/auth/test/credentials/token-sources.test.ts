import { describe, expect, test } from 'vitest'
import { AMBIGUOUS, FOREIGN, HANDSHAKE, looking, MALFORMED, TOO_LONG } from './support.ts'

describe('the Authorization header', () => {
  test('shows the token behind Bearer, in any case', async () => {
    const look = await looking(['header'])
    expect(await look(['Authorization: Bearer a.b-c_d~e+f/g=='])).toBe('a.b-c_d~e+f/g==')
    expect(await look(['authorization: bEARER abc'])).toBe('abc')
  })

  test('without it, or with another scheme in it, shows nothing', async () => {
    const look = await looking(['header'])
    expect(await look([])).toBeUndefined()
    for (const value of ['Basic dTpw', 'BearerX abc', 'Bearer.x abc', 'Beare abc', 'Digest username="u"', '']) {
      expect(await look([`Authorization: ${value}`]), value).toBeUndefined()
    }
  })

  test('is never guessed at: odd spacing, a second token and other characters are refused', async () => {
    const look = await looking(['header'])
    const odd = [
      'Bearer',
      'Bearer  abc',
      'Bearer\tabc',
      'Bearer a b',
      'Bearer a,b',
      'Bearer =a',
      'Bearer a=b',
      'Bearer, a',
    ]
    for (const value of [...odd, 'Bearer "abc"', 'Bearer abc\u00e9', 'Bearer token=abc']) {
      expect(await look([`Authorization: ${value}`]), value).toEqual(MALFORMED)
    }
  })

  test('twice is ambiguous, whatever the second line holds', async () => {
    const look = await looking(['header'])
    for (const second of ['Bearer abc', 'Bearer xyz', 'Basic dTpw', '']) {
      expect(await look(['Authorization: Bearer abc', `AUTHORIZATION: ${second}`]), second).toEqual(AMBIGUOUS)
    }
  })

  test('is not read beyond the longest token', async () => {
    const look = await looking(['header'], { maxBytes: 10 })
    expect(await look(['Authorization: Bearer 0123456789'])).toBe('0123456789')
    expect(await look(['Authorization: Bearer 01234567890'])).toEqual(TOO_LONG)
  })
})

describe('a header of its own', () => {
  test('shows its whole value', async () => {
    const look = await looking([{ header: 'X-Api-Key' }])
    expect(await look(['x-api-key: k,1"2'])).toBe('k,1"2')
  })

  test('is refused with spaces, bytes beyond ASCII, or nothing in it', async () => {
    const look = await looking([{ header: 'x-api-key' }])
    for (const value of ['a b', 'a\tb', 'caf\u00e9', '']) {
      expect(await look([`X-Api-Key: ${value}`]), value).toEqual(MALFORMED)
    }
  })

  test('is another one than that with an underscore, which nobody has checked', async () => {
    const look = await looking([{ header: 'x-api-key' }])
    expect(await look(['X_Api_Key: abc'])).toBeUndefined()
  })

  test('may name a scheme', async () => {
    const look = await looking([{ header: 'authorization', scheme: 'ApiKey' }])
    expect(await look(['Authorization: apikey abc'])).toBe('abc')
    expect(await look(['Authorization: Bearer abc'])).toBeUndefined()
  })
})

describe('a query parameter', () => {
  test('shows its value, decoded, wherever it stands', async () => {
    const look = await looking([{ query: 'api_key' }])
    expect(await look([], 'GET /?api_key=abc HTTP/1.1')).toBe('abc')
    expect(await look([], 'GET /a?x=1&api_key=a%2Bb%3D&y HTTP/1.1')).toBe('a+b=')
    expect(await look([], 'GET /a?x=1&api%5Fkey=abc HTTP/1.1')).toBe('abc')
  })

  test('is found under its own name alone', async () => {
    const look = await looking([{ query: 'api_key' }])
    for (const query of [
      '',
      'x=1',
      'xapi_key=abc',
      'api_keys=abc',
      'API_KEY=abc',
      'x=api_key=abc',
      'api_key[]=a',
      '%zz=1',
    ]) {
      expect(await look([], `GET /?${query} HTTP/1.1`), query).toBeUndefined()
    }
    expect(await look([], 'GET /api_key=abc HTTP/1.1')).toBeUndefined()
  })

  test('twice is ambiguous, in any spelling', async () => {
    const look = await looking([{ query: 'api_key' }])
    for (const query of ['api_key=a&api_key=a', 'api_key=a&%61pi_key=b', 'api_key&api_key=b', 'api_key=&api_key=']) {
      expect(await look([], `GET /?${query} HTTP/1.1`), query).toEqual(AMBIGUOUS)
    }
  })

  test('that is empty, broken or has spaces is refused', async () => {
    const look = await looking([{ query: 'api_key' }])
    for (const query of [
      'api_key',
      'api_key=',
      'api_key=%zz',
      'api_key=a+b',
      'api_key=a%20b',
      'api_key=%C3%A9',
      'api_key=a%00',
    ]) {
      expect(await look([], `GET /?${query} HTTP/1.1`), query).toEqual(MALFORMED)
    }
  })

  test('is not decoded beyond the longest token', async () => {
    const look = await looking([{ query: 'k' }], { maxBytes: 2 })
    expect(await look([], 'GET /?k=%61%61 HTTP/1.1')).toBe('aa')
    expect(await look([], 'GET /?k=%61%61a HTTP/1.1')).toEqual(TOO_LONG)
    expect(await look([], 'GET /?k=aaa HTTP/1.1')).toEqual(TOO_LONG)
  })
})

describe('a cookie', () => {
  test('shows its value among others', async () => {
    const look = await looking([{ cookie: 'session' }])
    for (const line of [
      'session=abc',
      'a=1; session=abc; b=2',
      'a=1;session=abc',
      ' session = abc ;',
      'x; session="abc"',
    ]) {
      expect(await look([`Cookie: ${line}`]), line).toBe('abc')
    }
    expect(await look(['Cookie: session=a%2Bb'])).toBe('a+b')
    expect(await look(['Cookie: a=1', 'Cookie: session=abc'])).toBe('abc')
  })

  test('is found under its own name alone', async () => {
    const look = await looking([{ cookie: 'session' }])
    for (const line of ['Session=abc', 'xsession=abc', 'session2=abc', 'a=session=abc', 'session', '=session=abc']) {
      expect(await look([`Cookie: ${line}`]), line).toBeUndefined()
    }
  })

  test('with an empty value shows nothing: that is how sessions end', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look(['Cookie: session=; a=1'])).toBeUndefined()
    expect(await look(['Cookie: session=""'])).toBeUndefined()
  })

  test('twice is ambiguous: another host may have set the second one', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look(['Cookie: session=abc; session=abc'])).toEqual(AMBIGUOUS)
    expect(await look(['Cookie: session=abc', 'Cookie: a=1; session=xyz'])).toEqual(AMBIGUOUS)
  })

  test('with what no token has in it is refused', async () => {
    const look = await looking([{ cookie: 'session' }], { maxBytes: 5 })
    for (const value of ['a b', 'a%20b', '%zz', 'caf\u00e9']) {
      expect(await look([`Cookie: session=${value}`]), value).toEqual(MALFORMED)
    }
    expect(await look(['Cookie: session=123456'])).toEqual(TOO_LONG)
  })
})

describe('a cookie that a page has the browser send', () => {
  const COOKIE = 'Cookie: session=abc'
  const POST = 'POST / HTTP/1.1'

  test('is read with GET from any page, which sees no answer', async () => {
    const look = await looking([{ cookie: 'session' }])
    for (const method of ['GET', 'OPTIONS']) {
      expect(await look([COOKIE, 'Origin: https://evil.test'], `${method} / HTTP/1.1`), method).toBe('abc')
    }
  })

  test('is read with methods that change something from the own origin alone', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look([COOKIE, 'Origin: http://shop.test'], POST)).toBe('abc')
    expect(await look([COOKIE, 'Origin: HTTP://SHOP.test:80'], POST)).toBe('abc')
    const foreign = [
      'https://shop.test',
      'http://shop.test:8080',
      'http://evil.test',
      'http://shop.test.evil.test',
      'null',
      '',
    ]
    for (const origin of [
      ...foreign,
      'http://shop.test/',
      'http://x@shop.test',
      'shop.test',
      'http://shop.test http://evil.test',
    ]) {
      expect(await look([COOKIE, `Origin: ${origin}`], POST), origin).toEqual(FOREIGN)
    }
    expect(await look([COOKIE, 'Origin: http://shop.test', 'Origin: http://shop.test'], POST)).toEqual(FOREIGN)
    for (const method of ['PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      expect(await look([COOKIE, 'Origin: http://evil.test'], `${method} / HTTP/1.1`), method).toEqual(FOREIGN)
    }
  })

  test('is read from clients that are no browsers', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look([COOKIE], POST)).toBe('abc')
  })

  test('is refused without Origin where Fetch Metadata tell of another site', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look([COOKIE, 'Sec-Fetch-Site: same-origin'], POST)).toBe('abc')
    expect(await look([COOKIE, 'Sec-Fetch-Site: none'], POST)).toBe('abc')
    for (const site of ['cross-site', 'same-site', 'whatever']) {
      expect(await look([COOKIE, `Sec-Fetch-Site: ${site}`], POST), site).toEqual(FOREIGN)
    }
  })

  test('is read from origins that are named, and from all where that is asked for', async () => {
    const named = await looking([
      { cookie: 'session', origins: ['https://App.example.com:443', 'http://localhost:3000'] },
    ])
    for (const origin of ['https://app.example.com', 'http://localhost:3000', 'http://shop.test']) {
      expect(await named([COOKIE, `Origin: ${origin}`], POST), origin).toBe('abc')
    }
    for (const origin of ['http://app.example.com', 'http://localhost', 'http://localhost:3001', 'null']) {
      expect(await named([COOKIE, `Origin: ${origin}`], POST), origin).toEqual(FOREIGN)
    }
    const any = await looking([{ cookie: 'session', origins: false }])
    expect(await any([COOKIE, 'Origin: null'], POST)).toBe('abc')
  })

  test('is guarded on upgrades as well, which no same-origin policy covers', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look([COOKIE, ...HANDSHAKE, 'Origin: http://shop.test'])).toBe('abc')
    expect(await look([COOKIE, ...HANDSHAKE])).toBe('abc')
    expect(await look([COOKIE, ...HANDSHAKE, 'Origin: http://evil.test'])).toEqual(FOREIGN)
    expect(await look([COOKIE, ...HANDSHAKE, 'Origin: null'])).toEqual(FOREIGN)
  })

  test('is no matter where there is none: what shows nothing is not refused', async () => {
    const look = await looking([{ cookie: 'session' }])
    expect(await look(['Cookie: a=1', 'Origin: http://evil.test'], POST)).toBeUndefined()
  })

  test('is compared with the host that a trusted proxy tells', async () => {
    // As Express has it under `trust proxy`.
    const before = (req: object): void => {
      const app = { get: () => () => true }
      Object.assign(req, { app, protocol: 'https', host: 'www.shop.test', ip: '10.0.0.1' })
    }
    const look = await looking([{ cookie: 'session' }], { before })
    expect(await look([COOKIE, 'Origin: https://www.shop.test'], POST)).toBe('abc')
    expect(await look([COOKIE, 'Origin: http://shop.test'], POST)).toEqual(FOREIGN)
  })
})

describe('a sub-protocol', () => {
  const offer = (value: string) => [...HANDSHAKE, `Sec-WebSocket-Protocol: ${value}`]

  test('shows the entry behind the marker', async () => {
    const look = await looking([{ subprotocol: 'bearer' }])
    for (const value of ['bearer, a.b.c', 'bearer,a.b.c', 'chat.v1, bearer , a.b.c ,chat.v2']) {
      expect(await look(offer(value)), value).toBe('a.b.c')
    }
    expect(await look([...offer('bearer'), 'Sec-WebSocket-Protocol: a.b.c, chat'])).toBe('a.b.c')
  })

  test('is read on upgrades to WebSocket alone', async () => {
    const look = await looking([{ subprotocol: 'bearer' }])
    expect(await look(['Sec-WebSocket-Protocol: bearer, abc'])).toBeUndefined()
    const other = ['Connection: Upgrade', 'Upgrade: foo', 'Sec-WebSocket-Protocol: bearer, abc']
    expect(await look(other)).toBeUndefined()
  })

  test('without the marker shows nothing', async () => {
    const look = await looking([{ subprotocol: 'bearer' }])
    expect(await look(HANDSHAKE)).toBeUndefined()
    expect(await look(offer('chat, Bearer, abc'))).toBeUndefined()
  })

  test('with the marker and no token, or with two markers, is refused', async () => {
    const look = await looking([{ subprotocol: 'bearer' }], { maxBytes: 5 })
    for (const value of ['bearer', 'chat, bearer', 'bearer, , abc', 'bearer, a b', 'bearer, a/b', 'bearer, "a"']) {
      expect(await look(offer(value)), value).toEqual(MALFORMED)
    }
    expect(await look(offer('bearer, abc, bearer, xyz'))).toEqual(AMBIGUOUS)
    expect(await look(offer('bearer, bearer'))).toEqual(AMBIGUOUS)
    expect(await look(offer('bearer, 123456'))).toEqual(TOO_LONG)
  })
})

describe('an own function', () => {
  test('returns the token', async () => {
    const look = await looking([(req) => req.headers['x-token'] as string | undefined])
    expect(await look(['X-Token: abc'])).toBe('abc')
    expect(await look([])).toBeUndefined()
    expect(await look(['X-Token: a b'])).toEqual(MALFORMED)
  })

  test('that returns something else shows nothing, be it a promise that fails', async () => {
    const ways = [() => 1, () => null, () => ({}), () => ['abc'], () => '', () => Promise.reject(new Error('later'))]
    for (const way of ways) {
      const look = await looking([way as never])
      expect(await look([])).toBeUndefined()
    }
  })

  test('that throws has the request refused, not the process ended', async () => {
    const look = await looking([
      () => {
        throw new Error('broken')
      },
    ])
    expect(await look([])).toEqual({ refused: 'source-threw', error: 'invalid_token' })
  })
})

describe('several sources', () => {
  test('are looked at one by one', async () => {
    const look = await looking(['header', { cookie: 'session' }, { query: 'token' }])
    expect(await look(['Authorization: Bearer abc'])).toBe('abc')
    expect(await look(['Cookie: session=abc'])).toBe('abc')
    expect(await look([], 'GET /?token=abc HTTP/1.1')).toBe('abc')
    expect(await look(['Authorization: Basic dTpw', 'Cookie: session=abc'])).toBe('abc')
    expect(await look([])).toBeUndefined()
  })

  test('are never used two at once, equal or malformed ones neither', async () => {
    const look = await looking(['header', { cookie: 'session' }, { query: 'token' }])
    expect(await look(['Authorization: Bearer abc', 'Cookie: session=abc'])).toEqual(AMBIGUOUS)
    expect(await look(['Authorization: Bearer a b', 'Cookie: session=abc'])).toEqual(AMBIGUOUS)
    expect(await look(['Cookie: session=abc'], 'GET /?token=abc HTTP/1.1')).toEqual(AMBIGUOUS)
  })

  test('are refused as the one that is filled is', async () => {
    const look = await looking(['header', { cookie: 'session' }])
    expect(await look(['Authorization: Bearer a b'])).toEqual(MALFORMED)
    expect(await look(['Cookie: session=abc', 'Origin: null'], 'POST / HTTP/1.1')).toEqual(FOREIGN)
  })
})
