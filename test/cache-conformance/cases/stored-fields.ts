import { expect } from 'vitest'
import { type CaseGroup, ok, type Step } from '../case.ts'
import { at } from '../dates.ts'

const FRESH = 'Cache-Control: max-age=3600'

export const storedFields: CaseGroup = {
  title: 'Storing header and trailer fields (RFC 9111 §3.1)',
  file: 'stored-fields',
  cases: [
    {
      id: '9111-3.1-all-fields',
      level: 'MUST',
      says: 'A stored response keeps all fields, those that nobody knows among them, with their values as received.',
      steps: [
        {
          answer: ok(
            FRESH,
            'Content-Type: text/plain; charset=utf-8',
            'X-Frame-Options: deny',
            'Clear-Site-Data: "cookies"',
            'Strict-Transport-Security: max-age=1',
            'WWW-Authenticate: Basic realm="x"',
            'Public-Key-Pins: x',
            'Content-Language: de',
            'Link: </a>; rel=next',
            'X-Nobody-Knows: a  b,c',
          ),
        },
        {
          from: 'store',
          fields: {
            'cache-control': 'max-age=3600',
            'content-type': 'text/plain; charset=utf-8',
            'x-frame-options': 'deny',
            'clear-site-data': '"cookies"',
            'strict-transport-security': 'max-age=1',
            'www-authenticate': 'Basic realm="x"',
            'public-key-pins': 'x',
            'content-language': 'de',
            link: '</a>; rel=next',
            'x-nobody-knows': 'a  b,c',
          },
        },
      ],
    },
    {
      id: '9111-3.1-lines',
      level: 'MUST',
      says: 'Several lines of one field stay several lines, in their order.',
      async run({ origin, send }) {
        origin.answerWith(ok(FRESH, 'X-A: 1', 'Link: </a>', 'X-A: 2', 'Link: </b>'))
        await send()
        const { rawHeaders } = await send()
        const lines = rawHeaders.flatMap((each, i) =>
          i % 2 === 0 ? [`${each.toLowerCase()}: ${rawHeaders[i + 1]}`] : [],
        )
        expect(origin.requests).toHaveLength(1)
        expect(lines.filter((line) => line.startsWith('x-a:'))).toEqual(['x-a: 1', 'x-a: 2'])
        expect(lines.filter((line) => line.startsWith('link:'))).toEqual(['link: </a>', 'link: </b>'])
      },
    },
    {
      id: '9111-3.1-connection-fields',
      level: 'MUST',
      says: 'Connection, the fields that it names, and the other fields of one connection are not part of what is reused.',
      steps: [
        {
          answer: ok(
            FRESH,
            'Connection: x-hop, X-Other',
            'X-Hop: 1',
            'X-Other: 2',
            'X-End: 3',
            'Keep-Alive: timeout=77',
            'Proxy-Connection: keep-alive',
            'TE: trailers',
            'Upgrade: h2c',
          ),
        },
        {
          from: 'store',
          fields: {
            'x-end': '3',
            'x-hop': null,
            'x-other': null,
            'proxy-connection': null,
            te: null,
            upgrade: null,
            'transfer-encoding': null,
            connection: /^(?:keep-alive|close)?$/i,
            'keep-alive': /^(?!.*77)/,
          },
        },
      ],
    },
    {
      id: '9111-3.1-proxy-fields',
      level: 'MUST',
      says: 'Fields that belong to one proxy (Proxy-Authenticate, Proxy-Authentication-Info, Proxy-Authorization) are not stored.',
      steps: [
        {
          answer: ok(FRESH, 'Proxy-Authenticate: Basic', 'Proxy-Authentication-Info: x', 'Proxy-Authorization: y'),
        },
        {
          from: 'store',
          fields: { 'proxy-authenticate': null, 'proxy-authentication-info': null, 'proxy-authorization': null },
        },
      ],
    },
    {
      id: '9111-3.1-no-cache-fields',
      level: 'MUST',
      says: 'Fields that no-cache names are left out of an answer that was not validated; the rest is reused.',
      variants: {
        one: named('no-cache="x-a"', { 'x-a': null, 'x-b': '2', 'x-c': '3' }),
        several: named('no-cache="X-A, x-b"', { 'x-a': null, 'x-b': null, 'x-c': '3' }),
        token: named('no-cache=x-a', { 'x-a': null, 'x-b': '2', 'x-c': '3' }),
      },
    },
    {
      id: '9111-3.1-private-fields',
      level: 'MUST',
      says: 'Fields that private names are not stored.',
      variants: {
        one: named('private="x-a"', { 'x-a': null, 'x-b': '2', 'x-c': '3' }),
        several: named('private="X-A,x-b"', { 'x-a': null, 'x-b': null, 'x-c': '3' }),
      },
    },
    {
      id: '9111-3.1-trailers',
      level: 'MUST',
      says: 'Trailer fields never become header fields.',
      steps: [
        {
          answer: {
            status: 200,
            lines: [],
            content: 'abc',
            raw: `HTTP/1.1 200 OK\r\nDate: ${at(0)}\r\n${FRESH}\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nCache-Control: no-store\r\n\r\n`,
          },
          fields: { 'x-sum': null },
        },
        { from: 'store', fields: { 'x-sum': null, 'cache-control': 'max-age=3600' } },
      ],
    },
    {
      id: '9111-3.1-trailers-discarded',
      level: 'MAY',
      says: 'Trailer fields are not stored.',
      async run({ origin, send }) {
        origin.answerWith({
          status: 200,
          lines: [],
          content: 'abc',
          raw: `HTTP/1.1 200 OK\r\nDate: ${at(0)}\r\n${FRESH}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`,
        })
        await send('GET /', ['TE: trailers', 'Connection: TE'])
        const reused = await send('GET /', ['TE: trailers', 'Connection: TE'])
        expect(origin.requests).toHaveLength(1)
        expect(reused.text).toBe('abc')
        expect(reused.trailers).toEqual({})
      },
    },
    {
      id: '9110-15.2-interim',
      level: 'MUST',
      says: 'Interim responses reach the client through the cache, and the final one is stored behind them.',
      async run({ origin, send }) {
        const raw = `HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nDate: ${at(0)}\r\n${FRESH}\r\nContent-Length: 2\r\n\r\nab`
        origin.answerWith({ status: 200, lines: [], content: 'ab', raw })
        const first = await send()
        expect(first.interim.map((each) => [each.status, each.headers.link])).toEqual([[103, '</a.css>; rel=preload']])
        const second = await send()
        expect([second.interim.length, second.text, origin.requests.length]).toEqual([0, 'ab', 1])
      },
    },
    {
      id: '9110-6.6.1-date-kept',
      level: 'MUST',
      says: 'The Date of a stored response is that of the origin, not that of the reuse.',
      steps: [
        { answer: ok(FRESH, `Date: ${at(-5)}`) },
        { after: 100, from: 'store', fields: { date: at(-5), age: '105' } },
      ],
    },
    {
      id: '9110-6.6.1-date-added',
      level: 'MUST',
      says: 'A response without Date is stored with the time at which it was received, and reused with that.',
      steps: [
        { answer: { ...ok(FRESH), undated: true } },
        { after: 100, from: 'store', fields: { date: at(0), age: '100' } },
      ],
    },
    {
      id: '9110-6.6.1-date-invalid',
      level: 'MAY',
      says: 'A Date that is none counts as absent: the time of receipt takes its place.',
      steps: [
        { answer: ok('Cache-Control: max-age=60', 'Date: yesterday') },
        { after: 59, from: 'store', fields: { date: at(0), age: '59' } },
        { after: 2 },
      ],
    },
    {
      id: '9110-6.6.1-date-once',
      level: 'MUST',
      says: 'An answer has one Date, whoever gives it.',
      async run({ origin, send }) {
        origin.answerWith(ok(FRESH))
        for (const answer of [await send(), await send()]) {
          expect(answer.rawHeaders.filter((each, i) => i % 2 === 0 && each.toLowerCase() === 'date')).toHaveLength(1)
        }
        expect(origin.requests).toHaveLength(1)
      },
    },
  ],
}

function named(directive: string, fields: Readonly<Record<string, string | null>>): Step[] {
  return [
    { answer: ok(`Cache-Control: ${directive}, max-age=3600`, 'X-A: 1', 'X-B: 2', 'X-C: 3'), fields: { 'x-a': '1' } },
    { from: 'store', fields },
  ]
}
