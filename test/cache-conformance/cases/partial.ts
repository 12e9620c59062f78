import { expect } from 'vitest'
import { type Answer, type CaseGroup, ok, reply, type Step, withContent } from '../case.ts'
import { at } from '../dates.ts'

const HOUR = 'Cache-Control: max-age=3600'
const LETTERS = 'abcdefghij'

/** A 206 with these bytes of the ten letters. */
function slice(first: number, last: number, ...lines: string[]): Answer {
  const range = `Content-Range: bytes ${first}-${last}/10`
  return withContent(LETTERS.slice(first, last + 1), reply(206, HOUR, range, ...lines))
}

const asks = (range: string, answer: Answer): Step => ({ with: [`Range: bytes=${range}`], answer })

/** What came with these lines is stored as bytes 0 to 4; then all is asked for. The origin gives all of it, if it is asked so. */
function thenAll(lines: readonly string[], step: Step): Step[] {
  return [asks('0-4', slice(0, 4, ...lines)), step]
}

/** A part that the origin gave as bytes 0 to 4 with this odd Content-Range serves nobody else. */
function odd(contentRange: string | undefined): Step[] {
  const lines = contentRange === undefined ? [] : [`Content-Range: ${contentRange}`]
  return [
    { with: ['Range: bytes=0-4'], answer: withContent('abcde', reply(206, HOUR, 'ETag: "a"', ...lines)) },
    asks('0-4', slice(0, 4, 'ETag: "a"')),
  ]
}

const COMPLETE = withContent(LETTERS, ok(HOUR, 'ETag: "a"'))

/** Half of a body, and the end of the connection. */
function cut(...lines: string[]): Answer {
  const head = ['HTTP/1.1 200 OK', `Date: ${at(0)}`, HOUR, ...lines, 'Content-Length: 10'].join('\r\n')
  return { status: 200, lines: [], content: 'abcde', raw: `${head}\r\n\r\nabcde` }
}

const CUT_CHUNKED: Answer = {
  status: 200,
  lines: [],
  content: 'abcde',
  raw: `HTTP/1.1 200 OK\r\nDate: ${at(0)}\r\n${HOUR}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n`,
}

export const partial: CaseGroup = {
  title: 'Incomplete and partial responses (RFC 9111 §3.3, §3.4; RFC 9110 §15.3.7.3)',
  file: 'partial',
  cases: [
    {
      id: '9111-3.3-partial-stored',
      level: 'MAY',
      says: 'A 206 is stored and answers requests for ranges that lie within it.',
      variants: {
        'the same range': [
          asks('0-4', slice(0, 4)),
          { with: ['Range: bytes=0-4'], from: 'store', status: 206, text: 'abcde' },
        ],
        'a smaller one': [
          asks('5-', slice(5, 9)),
          { with: ['Range: bytes=6-8'], from: 'store', status: 206, text: 'ghi' },
        ],
        'several in it': [
          asks('0-4', slice(0, 4)),
          {
            with: ['Range: bytes=0-0,4-4'],
            from: 'store',
            status: 206,
            text: /Content-Range: bytes 0-0\/10\r\n\r\na\r\n.*Content-Range: bytes 4-4\/10\r\n\r\ne\r\n/is,
          },
        ],
        'to the end': [
          asks('-5', slice(5, 9)),
          { with: ['Range: bytes=6-'], from: 'store', status: 206, text: 'ghij' },
        ],
        'from the end': [asks('-5', slice(5, 9)), { with: ['Range: bytes=-1'], from: 'store', status: 206, text: 'j' }],
      },
    },
    {
      id: '9111-3.3-partial-fields',
      level: 'MUST',
      says: 'Then Content-Range and Content-Length are those of what is sent.',
      steps: [
        asks('5-', slice(5, 9, 'ETag: "a"')),
        {
          with: ['Range: bytes=6-8'],
          from: 'store',
          status: 206,
          text: 'ghi',
          fields: { 'content-range': 'bytes 6-8/10', 'content-length': '3', etag: '"a"' },
        },
      ],
    },
    {
      id: '9111-3.3-partial-not-for-all',
      level: 'MUST',
      says: 'What is partial never answers a request for all of it, nor for a range that goes beyond it.',
      variants: {
        all: [asks('0-4', slice(0, 4)), { answer: COMPLETE, status: 200, text: LETTERS }],
        'all, HEAD': [
          asks('0-4', slice(0, 4)),
          { send: 'HEAD /', answer: COMPLETE, status: 200, fields: { 'content-length': '10' } },
        ],
        'beyond its end': [asks('0-4', slice(0, 4)), { ...asks('3-6', slice(3, 6)), text: 'defg' }],
        'somewhere else': [asks('0-4', slice(0, 4)), { ...asks('6-7', slice(6, 7)), text: 'gh' }],
        'all, weak entity tag': thenAll(['ETag: W/"a"'], {
          answer: COMPLETE,
          status: 200,
          text: LETTERS,
          seen: { range: null },
        }),
        'another variant': [
          { ...asks('0-4', slice(0, 4, 'Vary: Foo')), with: ['Range: bytes=0-4', 'Foo: 1'] },
          { ...asks('0-4', slice(0, 4, 'Vary: Foo')), with: ['Range: bytes=0-4', 'Foo: 2'] },
        ],
        'past its lifetime': [asks('0-4', slice(0, 4)), { ...asks('0-4', slice(0, 4)), after: 3_601, text: 'abcde' }],
      },
    },
    {
      id: '9111-3.3-marked-206',
      level: 'MUST',
      says: 'A client that did not ask for a range gets no part.',
      steps: thenAll(['ETag: "a"'], {
        answer: COMPLETE,
        status: 200,
        text: LETTERS,
        fields: { 'content-range': null },
      }),
    },
    {
      id: '9111-3.3-cut',
      level: 'MUST',
      says: 'A response that broke off is not reused as if it were whole.',
      async run({ origin, send }) {
        for (const [i, answer] of [cut(), cut('ETag: "a"'), CUT_CHUNKED].entries()) {
          origin.answerWith(answer)
          const first = await send(`GET /${i}`)
          expect(first.complete).toBe(false)
          origin.answerWith(({ headers }) => (headers.range === 'bytes=5-9' ? slice(5, 9, 'ETag: "a"') : COMPLETE))
          const second = await send(`GET /${i}`)
          expect([second.status, second.complete, second.text]).toEqual([200, true, LETTERS])
        }
        expect(origin.requests).toHaveLength(6)
      },
    },
    {
      id: '9111-3.3-replaced',
      level: 'MUST',
      says: 'A whole response takes the place of the parts.',
      steps: [
        ...thenAll(['ETag: "a"'], {
          answer: withContent('0123456789', ok(HOUR, 'ETag: "b"')),
          status: 200,
          text: '0123456789',
        }),
        { from: 'store', status: 200, text: '0123456789', fields: { etag: '"b"' } },
      ],
    },
    {
      id: '9111-3.4-combine',
      level: 'MAY',
      says: 'Parts with the same strong validator are combined, and serve ranges across them and all of it.',
      variants: {
        'across two': [
          asks('0-4', slice(0, 4, 'ETag: "a"')),
          asks('5-7', slice(5, 7, 'ETag: "a"')),
          { with: ['Range: bytes=3-6'], from: 'store', status: 206, text: 'defg' },
        ],
        'all of it': [
          asks('0-4', slice(0, 4, 'ETag: "a"')),
          asks('5-9', slice(5, 9, 'ETag: "a"')),
          { from: 'store', status: 200, text: LETTERS, fields: { 'content-range': null } },
        ],
        overlapping: [
          asks('0-5', slice(0, 5, 'ETag: "a"')),
          asks('3-9', slice(3, 9, 'ETag: "a"')),
          { from: 'store', status: 200, text: LETTERS },
        ],
        'in any order': [
          asks('6-9', slice(6, 9, 'ETag: "a"')),
          asks('0-5', slice(0, 5, 'ETag: "a"')),
          { from: 'store', status: 200, text: LETTERS },
        ],
        'by Last-Modified': [
          asks('0-4', slice(0, 4, `Last-Modified: ${at(-9_999)}`)),
          asks('5-9', slice(5, 9, `Last-Modified: ${at(-9_999)}`)),
          { with: ['Range: bytes=3-6'], from: 'store', status: 206, text: 'defg' },
        ],
      },
    },
    {
      id: '9111-3.4-same-validator',
      level: 'MUST',
      says: 'Parts without one, with a weak one or with different ones are not combined.',
      variants: {
        different: notCombined(['ETag: "a"'], ['ETag: "b"']),
        weak: notCombined(['ETag: W/"a"'], ['ETag: W/"a"']),
        none: notCombined([], []),
        'one without': notCombined(['ETag: "a"'], []),
        'different length': [
          asks('0-4', slice(0, 4, 'ETag: "a"')),
          asks('5-9', withContent('fghij', reply(206, HOUR, 'Content-Range: bytes 5-9/20', 'ETag: "a"'))),
          { with: ['Range: bytes=3-6'], answer: slice(3, 6), text: 'defg' },
        ],
      },
    },
    {
      id: '9111-3.4-updates',
      level: 'MUST',
      says: 'A combined response has the fields of the newer part.',
      steps: [
        asks('0-4', slice(0, 4, 'ETag: "a"', 'X-A: 1', 'X-B: 1')),
        asks('5-9', slice(5, 9, 'ETag: "a"', 'X-A: 2')),
        { from: 'store', status: 200, text: LETTERS, fields: { 'x-a': '2', 'x-b': '1' } },
      ],
    },
    {
      id: '9110-14.4-content-range',
      level: 'MUST',
      says: 'A part whose Content-Range is missing, invalid or in an unknown unit is passed on and neither stored nor combined.',
      variants: {
        missing: odd(undefined),
        'last before first': odd('bytes 4-0/10'),
        'length too short': odd('bytes 0-4/4'),
        'unknown unit': odd('letters 0-4/10'),
        'no number': odd('bytes x-y/10'),
        'less than was sent': odd('bytes 0-2/10'),
        unsatisfied: odd('bytes */10'),
        twice: odd('bytes 0-4/10, bytes 0-4/10'),
      },
    },
    {
      id: '9110-14.4-missing-bytes',
      level: 'MUST',
      says: 'Bytes that such a Content-Range promised and that never came are not served.',
      steps: [
        {
          with: ['Range: bytes=0-7'],
          answer: withContent('abcde', reply(206, HOUR, 'ETag: "a"', 'Content-Range: bytes 0-7/10')),
        },
        asks('5-7', slice(5, 7, 'ETag: "a"')),
      ],
    },
    {
      id: '9110-15.3.7.3-unknown-length',
      level: 'MAY',
      says: 'A part of something whose length is unknown serves ranges within it, and counts for nothing from the end.',
      steps: [
        asks('0-4', withContent('abcde', reply(206, HOUR, 'Content-Range: bytes 0-4/*', 'ETag: "a"'))),
        {
          with: ['Range: bytes=1-2'],
          from: 'store',
          status: 206,
          text: 'bc',
          fields: { 'content-range': 'bytes 1-2/*' },
        },
        { with: ['Range: bytes=-2'], answer: slice(8, 9, 'ETag: "a"'), text: 'ij' },
      ],
    },
    {
      id: '9110-15.3.7.2-multipart-not-mixed',
      level: 'MUST',
      says: 'A multipart 206 of the origin is passed on and serves nobody as if it were content.',
      steps: [
        {
          with: ['Range: bytes=0-1,8-9'],
          answer: withContent(
            '--x\r\nContent-Range: bytes 0-1/10\r\n\r\nab\r\n--x\r\nContent-Range: bytes 8-9/10\r\n\r\nij\r\n--x--\r\n',
            reply(206, HOUR, 'ETag: "a"', 'Content-Type: multipart/byteranges; boundary=x'),
          ),
        },
        { ...asks('0-3', slice(0, 3, 'ETag: "a"')), text: 'abcd' },
      ],
    },
    {
      id: '9111-4.3.2-partial-entity-tag',
      level: 'MUST',
      says: 'The entity tag of a part is not sent as If-None-Match with a request for more than the part.',
      steps: [
        asks('0-4', slice(0, 4, 'ETag: "a"')),
        {
          with: ['If-None-Match: "c"'],
          answer: COMPLETE,
          status: 200,
          text: LETTERS,
          seen: { 'if-none-match': /^(?!.*"a")/ },
        },
      ],
    },
    {
      id: '9111-4.3.1-part',
      level: 'MUST',
      says: 'With a request for a range of it, a stale part is validated by its strong entity tag.',
      steps: [
        asks('0-4', slice(0, 4, 'ETag: "a"')),
        {
          after: 3_601,
          with: ['Range: bytes=1-2'],
          answer: reply(304, HOUR, 'ETag: "a"'),
          from: 'validation',
          seen: { 'if-none-match': '"a"', range: 'bytes=1-2' },
          status: 206,
          text: 'bc',
        },
        { with: ['Range: bytes=0-0'], from: 'store', status: 206, text: 'a' },
      ],
    },
    {
      id: '9111-3.3-whole-for-range',
      level: 'MAY',
      says: 'A whole response to a request for a range is stored whole.',
      steps: [
        { with: ['Range: bytes=0-4'], answer: COMPLETE, status: 200 },
        { with: ['Range: bytes=5-6'], from: 'store', status: 206, text: 'fg' },
        { from: 'store', status: 200, text: LETTERS },
      ],
    },
    {
      id: '9110-6.1-end-of-connection',
      level: 'MAY',
      says: 'A response whose end is that of its connection is whole, and stored.',
      steps: [
        {
          answer: {
            status: 200,
            lines: [],
            content: LETTERS,
            raw: `HTTP/1.1 200 OK\r\nDate: ${at(0)}\r\n${HOUR}\r\nConnection: close\r\n\r\n${LETTERS}`,
          },
        },
        { from: 'store', fields: { 'content-length': '10' } },
      ],
    },
    {
      id: '9111-3.3-client-left',
      level: 'MUST',
      says: 'What a client left in the middle of is not reused as if it were whole.',
      async run({ origin, send, sendAndLeave }) {
        const { promise, resolve } = Promise.withResolvers<string>()
        origin.answerWith({ ...cut('ETag: "a"'), rest: promise })
        await sendAndLeave('GET /')
        resolve('fghij')
        origin.answerWith(COMPLETE)
        const got = await send()
        expect([got.status, got.complete, got.text]).toEqual([200, true, LETTERS])
      },
    },
    {
      id: '9111-4-most-recent-part',
      level: 'MUST',
      says: 'A newer part is used before an older whole when both could answer.',
      steps: [
        { answer: COMPLETE },
        {
          after: 10,
          with: ['Range: bytes=0-1', 'Cache-Control: no-cache'],
          answer: withContent('01', reply(206, HOUR, 'Content-Range: bytes 0-1/10', 'ETag: "b"')),
          text: '01',
        },
        { with: ['Range: bytes=0-1'], from: 'store', status: 206, text: '01', fields: { etag: '"b"' } },
      ],
    },
  ],
}

/** Two halves with these fields; then a range across both goes to the origin. */
function notCombined(first: readonly string[], second: readonly string[]): Step[] {
  return [
    asks('0-4', slice(0, 4, ...first)),
    asks('5-9', slice(5, 9, ...second)),
    { ...asks('3-6', slice(3, 6, 'ETag: "c"')), text: 'defg' },
  ]
}
