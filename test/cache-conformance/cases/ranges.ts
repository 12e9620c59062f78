import { expect } from 'vitest'
import { type CaseGroup, type FieldExpectations, ok, reply, type Step, withContent } from '../case.ts'
import { at } from '../dates.ts'

const HOUR = 'Cache-Control: max-age=3600'
const OLD = `Last-Modified: ${at(-3_000)}`
const LETTERS = 'abcdefghij'

const whole = (...lines: string[]): Step => ({ answer: withContent(LETTERS, ok(HOUR, ...lines)) })

/** Ten letters are stored; a range of them is asked for, and this comes out of the store. */
function part(range: string, text: string, contentRange: string): Step[] {
  return [
    whole('ETag: "a"'),
    {
      with: [`Range: ${range}`],
      from: 'store',
      status: 206,
      text,
      fields: { 'content-range': contentRange, 'content-length': String(text.length) },
    },
  ]
}

/** The range does not count: all of it, as if it had not been asked for. */
function all(lines: readonly string[], ...request: string[]): Step[] {
  return [
    whole(...lines),
    {
      with: request,
      from: 'store',
      status: 200,
      text: LETTERS,
      fields: { 'content-range': null, 'content-length': '10' },
    },
  ]
}

function unsatisfiable(range: string): Step[] {
  return [
    whole('ETag: "a"'),
    {
      with: [`Range: ${range}`],
      from: 'store',
      status: 416,
      text: /^(?!abc)/,
      fields: { 'content-range': 'bytes */10' },
    },
  ]
}

function ifRange(lines: readonly string[], condition: string, status: 200 | 206): Step[] {
  return [
    whole(...lines),
    {
      with: ['Range: bytes=0-1', `If-Range: ${condition}`],
      from: 'store',
      status,
      text: status === 206 ? 'ab' : LETTERS,
    },
  ]
}

const PART_FIELDS: FieldExpectations = {
  'cache-control': 'max-age=3600',
  'content-location': '/x',
  date: at(0),
  etag: '"a"',
  expires: at(3_600),
  vary: 'Foo',
  age: '10',
}

export const ranges: CaseGroup = {
  title: 'Ranges of stored responses (RFC 9110 §14, §15.3.7, §15.5.17)',
  file: 'ranges',
  cases: [
    {
      id: '9110-14.2-range',
      level: 'SHOULD',
      says: 'A range request that a stored 200 can satisfy gets 206 with the bytes that it asked for.',
      variants: {
        first: part('bytes=0-1', 'ab', 'bytes 0-1/10'),
        middle: part('bytes=3-5', 'def', 'bytes 3-5/10'),
        'one byte': part('bytes=9-9', 'j', 'bytes 9-9/10'),
        'to the end': part('bytes=7-', 'hij', 'bytes 7-9/10'),
        'from the end': part('bytes=-3', 'hij', 'bytes 7-9/10'),
        'beyond the end': part('bytes=8-100', 'ij', 'bytes 8-9/10'),
        'more than all from the end': part('bytes=-100', LETTERS, 'bytes 0-9/10'),
        all: part('bytes=0-', LETTERS, 'bytes 0-9/10'),
        'other case of the unit': part('Bytes=0-1', 'ab', 'bytes 0-1/10'),
        'empty list members': part('bytes=,0-1,', 'ab', 'bytes 0-1/10'),
      },
    },
    {
      id: '9110-15.5.17-unsatisfiable',
      level: 'SHOULD',
      says: 'A range that lies behind the content gets 416 with the length in Content-Range.',
      variants: {
        behind: unsatisfiable('bytes=10-'),
        'far behind': unsatisfiable(`bytes=${'9'.repeat(30)}-`),
        'nothing from the end': unsatisfiable('bytes=-0'),
        'two of them': unsatisfiable('bytes=20-30, 40-'),
      },
    },
    {
      id: '9110-14.2-invalid',
      level: 'MAY',
      says: 'A Range that is not well formed is ignored.',
      variants: Object.fromEntries(
        [
          'bytes=5-2',
          'bytes=a-b',
          'bytes=',
          'bytes',
          'bytes=1',
          'bytes=-',
          'bytes=1-2;3-4',
          'bytes 0-1',
          'bytes=0-1 2-3',
        ].map((range) => [range, all(['ETag: "a"'], `Range: ${range}`)]),
      ),
    },
    {
      id: '9110-14.2-unit',
      level: 'MUST',
      says: 'A Range in a unit that is not understood is ignored.',
      variants: {
        seconds: all(['ETag: "a"'], 'Range: seconds=0-1'),
        'like bytes': all(['ETag: "a"'], 'Range: bytesx=0-1'),
      },
    },
    {
      id: '9110-14.2-get-only',
      level: 'MUST',
      says: 'A Range is ignored with HEAD.',
      steps: [
        whole('ETag: "a"'),
        {
          send: 'HEAD /',
          with: ['Range: bytes=0-1'],
          from: 'store',
          status: 200,
          fields: { 'content-length': '10', 'content-range': null },
        },
      ],
    },
    {
      id: '9110-14.2-not-200',
      level: 'MUST',
      says: 'A Range is ignored where the response without it would be no 200.',
      variants: {
        404: [
          { answer: withContent(LETTERS, reply(404, HOUR)) },
          { with: ['Range: bytes=0-1'], from: 'store', status: 404, text: LETTERS },
        ],
        301: [
          { answer: withContent(LETTERS, reply(301, HOUR, 'Location: /b')) },
          { with: ['Range: bytes=0-1'], from: 'store', status: 301, text: LETTERS },
        ],
      },
    },
    {
      id: '9110-13.1.5-if-range',
      level: 'MUST',
      says: 'With If-Range the range counts only when the validator is that of the stored response, compared strongly.',
      variants: {
        'entity tag': ifRange(['ETag: "a"'], '"a"', 206),
        'another entity tag': ifRange(['ETag: "a"'], '"b"', 200),
        'weak in the request': ifRange(['ETag: "a"'], 'W/"a"', 200),
        'weak in the store': ifRange(['ETag: W/"a"'], '"a"', 200),
        'weak in both': ifRange(['ETag: W/"a"'], 'W/"a"', 200),
        'none stored': ifRange([], '"a"', 200),
        'Last-Modified': ifRange([OLD], at(-3_000), 206),
        'later date': ifRange([OLD], at(-2_999), 200),
        'earlier date': ifRange([OLD], at(-3_001), 200),
        'date that is not strong': ifRange([`Last-Modified: ${at(0)}`], at(0), 200),
        'no validator': ifRange(['ETag: "a"', OLD], 'yesterday', 200),
      },
    },
    {
      id: '9110-13.1.5-without-range',
      level: 'MUST',
      says: 'If-Range without Range is ignored.',
      steps: all(['ETag: "a"'], 'If-Range: "b"'),
    },
    {
      id: '9110-13.2.2-order',
      level: 'MUST',
      says: 'If-None-Match is looked at before Range.',
      variants: {
        'not modified': [
          whole('ETag: "a"'),
          { with: ['Range: bytes=0-1', 'If-None-Match: "a"'], from: 'store', status: 304 },
        ],
        modified: [
          whole('ETag: "a"'),
          { with: ['Range: bytes=0-1', 'If-None-Match: "b"'], from: 'store', status: 206, text: 'ab' },
        ],
        'not modified, unsatisfiable': [
          whole('ETag: "a"'),
          { with: ['Range: bytes=90-', 'If-None-Match: "a"'], from: 'store', status: 304 },
        ],
      },
    },
    {
      id: '9110-15.3.7-fields',
      level: 'MUST',
      says: 'A 206 has Cache-Control, Content-Location, Date, ETag, Expires and Vary as the 200 would, and an Age.',
      steps: [
        whole('ETag: "a"', 'Content-Location: /x', `Expires: ${at(3_600)}`, 'Vary: Foo'),
        { after: 10, with: ['Range: bytes=0-1'], from: 'store', status: 206, text: 'ab', fields: PART_FIELDS },
      ],
    },
    {
      id: '9110-15.3.7-representation-fields',
      level: 'MUST',
      says: 'Without If-Range it also has the other fields of the representation.',
      steps: [
        whole('ETag: "a"', OLD, 'Content-Type: text/x', 'Content-Encoding: x-odd', 'Content-Language: de'),
        {
          with: ['Range: bytes=0-1'],
          from: 'store',
          status: 206,
          text: 'ab',
          fields: {
            'content-type': 'text/x',
            'content-encoding': 'x-odd',
            'content-language': 'de',
            'last-modified': at(-3_000),
          },
        },
      ],
    },
    {
      id: '9110-15.3.7-if-range-fields',
      level: 'SHOULD',
      says: 'With If-Range it does not: the client has them already.',
      steps: [
        whole('ETag: "a"', OLD, 'Content-Type: text/x', 'Content-Language: de'),
        {
          with: ['Range: bytes=0-1', 'If-Range: "a"'],
          from: 'store',
          status: 206,
          text: 'ab',
          fields: { 'content-type': null, 'content-language': null, 'last-modified': null, etag: '"a"' },
        },
      ],
    },
    {
      id: '9110-14.2-stale',
      level: 'MUST',
      says: 'No range is served from a stale response; once that is validated, it is.',
      variants: {
        validated: [
          { answer: withContent(LETTERS, ok('Cache-Control: max-age=60', 'ETag: "a"')) },
          {
            after: 61,
            with: ['Range: bytes=0-1'],
            answer: reply(304, HOUR, 'ETag: "a"'),
            from: 'validation',
            status: 206,
            text: 'ab',
          },
        ],
        'not any more': [
          { answer: withContent(LETTERS, ok('Cache-Control: max-age=60')) },
          {
            after: 61,
            with: ['Range: bytes=0-1'],
            answer: withContent('kl', reply(206, HOUR, 'Content-Range: bytes 0-1/10')),
            seen: { range: 'bytes=0-1' },
          },
        ],
      },
    },
    {
      id: '9110-14.2-not-stored',
      level: 'MUST',
      says: 'A range of something that is not stored is the affair of the origin, which gets Range and If-Range as they came.',
      steps: [
        {
          with: ['Range: bytes=2-4,6-', 'If-Range: "a"'],
          answer: withContent(LETTERS, ok('ETag: "b"')),
          seen: { range: 'bytes=2-4,6-', 'if-range': '"a"' },
        },
      ],
    },
    {
      id: '9110-14.2-large',
      level: 'SHOULD',
      says: 'Ranges of long content that came in many pieces are exact to the byte.',
      async run({ origin, send }) {
        let content = ''
        for (let i = 0; i < 300_000; i++) content += String.fromCharCode((i * 7 + (i >> 8)) & 0xff)
        const chunks = content.match(/.{1,4096}/gs)!.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
        const raw = `HTTP/1.1 200 OK\r\n${HOUR}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`
        origin.answerWith({ status: 200, lines: [], content, raw })
        expect((await send()).text === content).toBe(true)
        for (const [first, last] of [
          [0, 0],
          [4_095, 4_096],
          [65_535, 65_536],
          [100_000, 200_000],
          [299_999, 299_999],
        ] as const) {
          const got = await send('GET /', [`Range: bytes=${first}-${last}`])
          expect(got.headers['content-range']).toBe(`bytes ${first}-${last}/300000`)
          expect(got.text === content.slice(first, last + 1), `bytes ${first}-${last}`).toBe(true)
        }
        expect((await send()).text === content).toBe(true)
        expect(origin.requests).toHaveLength(1)
      },
    },
    {
      id: '9110-14.2-empty',
      level: 'MAY',
      says: 'Of content without a byte no range is made: 416, or the whole nothing.',
      steps: [
        { answer: withContent('', ok(HOUR, 'ETag: "a"')) },
        { with: ['Range: bytes=0-1'], from: 'store', status: [200, 416], text: /^(?!content)/ },
      ],
    },
  ],
}
