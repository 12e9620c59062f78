import { type CaseGroup, ok, reply, type Step } from '../case.ts'
import { asctime, at, rfc850 } from '../dates.ts'

const HOUR = 'Cache-Control: max-age=3600'
const OLD = `Last-Modified: ${at(-3_000)}`

/** Fresh with these fields; then a conditional request: what it gets without the origin. */
function fresh(lines: readonly string[], condition: readonly string[], status: 200 | 304): Step[] {
  return [{ answer: ok(HOUR, ...lines) }, { with: condition, from: 'store', status }]
}

/** Fresh; then a request whose condition only an origin could answer. */
function ignored(condition: string): Step[] {
  return [{ answer: ok(HOUR, 'ETag: "a"', OLD) }, { with: [condition], from: 'store', status: 200 }]
}

/** Nothing is stored; the origin sees the condition. */
function forwarded(condition: string): Step[] {
  const [name = '', value = ''] = condition.split(': ')
  return [
    { with: [condition], answer: reply(412, HOUR), seen: { [name.toLowerCase()]: value } },
    { answer: ok(HOUR), status: 200 },
  ]
}

export const conditionals: CaseGroup = {
  title: 'Conditional requests (RFC 9111 §4.3.2, RFC 9110 §13)',
  file: 'conditionals',
  cases: [
    {
      id: '9111-4.3.2-if-none-match',
      level: 'SHOULD',
      says: 'If-None-Match is answered from a fresh stored response: 304 when one of its entity tags is the stored one.',
      variants: {
        strong: fresh(['ETag: "a"'], ['If-None-Match: "a"'], 304),
        weak: fresh(['ETag: W/"a"'], ['If-None-Match: W/"a"'], 304),
        'first of three': fresh(['ETag: "a"'], ['If-None-Match: "a", "b", "c"'], 304),
        'second of three': fresh(['ETag: "a"'], ['If-None-Match: "b", "a", "c"'], 304),
        'last of three': fresh(['ETag: "a"'], ['If-None-Match: "b","c","a"'], 304),
        'second line': fresh(['ETag: "a"'], ['If-None-Match: "b"', 'If-None-Match: "a"'], 304),
        'comma inside': fresh(['ETag: "a,b"'], ['If-None-Match: "c", "a,b"'], 304),
        'byte above 127': fresh(['ETag: "a\xfc"'], ['If-None-Match: "a\xfc"'], 304),
        empty: fresh(['ETag: ""'], ['If-None-Match: ""'], 304),
        'another one': fresh(['ETag: "a"'], ['If-None-Match: "b"'], 200),
        'part of it': fresh(['ETag: "a,b"'], ['If-None-Match: "a"'], 200),
        'no entity tag stored': fresh([], ['If-None-Match: "a"'], 200),
        'other case': fresh(['ETag: "a"'], ['If-None-Match: "A"'], 200),
        unquoted: fresh(['ETag: "a"'], ['If-None-Match: a'], 200),
        'small w': fresh(['ETag: W/"a"'], ['If-None-Match: w/"a"'], 200),
      },
    },
    {
      id: '9110-13.1.2-weak-comparison',
      level: 'MUST',
      says: 'If-None-Match compares weakly.',
      variants: {
        'weak stored': fresh(['ETag: W/"a"'], ['If-None-Match: "a"'], 304),
        'weak asked': fresh(['ETag: "a"'], ['If-None-Match: W/"a"'], 304),
      },
    },
    {
      id: '9110-13.1.2-star',
      level: 'MUST',
      says: 'If-None-Match: * is false when there is a representation: 304.',
      variants: {
        'with entity tag': fresh(['ETag: "a"'], ['If-None-Match: *'], 304),
        without: fresh([], ['If-None-Match: *'], 304),
      },
    },
    {
      id: '9111-4.3.2-if-modified-since',
      level: 'SHOULD',
      says: 'If-Modified-Since is answered from a fresh stored response: 304 when it was not modified later.',
      variants: {
        'same time': fresh([OLD], [`If-Modified-Since: ${at(-3_000)}`], 304),
        later: fresh([OLD], [`If-Modified-Since: ${at(-2_000)}`], 304),
        earlier: fresh([OLD], [`If-Modified-Since: ${at(-3_001)}`], 200),
        'in the future': fresh([OLD], [`If-Modified-Since: ${at(100)}`], 304),
        'RFC 850': fresh([OLD], [`If-Modified-Since: ${rfc850(-3_000)}`], 304),
        asctime: fresh([OLD], [`If-Modified-Since: ${asctime(-3_000)}`], 304),
      },
    },
    {
      id: '9111-4.3.2-date-for-last-modified',
      level: 'SHOULD',
      says: 'Without Last-Modified the Date counts in its place.',
      variants: {
        later: fresh([], [`If-Modified-Since: ${at(0)}`], 304),
        earlier: fresh([], [`If-Modified-Since: ${at(-1)}`], 200),
      },
    },
    {
      id: '9110-13.1.3-precedence',
      level: 'MUST',
      says: 'If-Modified-Since is ignored beside If-None-Match.',
      variants: {
        'entity tag matches': fresh(
          ['ETag: "a"', OLD],
          ['If-None-Match: "a"', `If-Modified-Since: ${at(-9_999)}`],
          304,
        ),
        'entity tag differs': fresh(['ETag: "a"', OLD], ['If-None-Match: "b"', `If-Modified-Since: ${at(0)}`], 200),
      },
    },
    {
      id: '9110-13.1.3-invalid-date',
      level: 'MUST',
      says: 'If-Modified-Since is ignored when it is no HTTP date.',
      variants: {
        word: fresh([OLD], ['If-Modified-Since: now'], 200),
        'two of them': fresh([OLD], [`If-Modified-Since: ${at(0)}, ${at(0)}`], 200),
        'other zone': fresh([OLD], [`If-Modified-Since: ${at(0).replace('GMT', 'UTC')}`], 200),
      },
    },
    {
      id: '9110-13.2.1-not-2xx',
      level: 'MUST',
      says: 'Conditions are ignored when the response without them would be no 2xx.',
      variants: {
        404: [{ answer: reply(404, HOUR, 'ETag: "a"') }, { with: ['If-None-Match: "a"'], from: 'store', status: 404 }],
        301: [
          { answer: reply(301, HOUR, OLD, 'Location: /b') },
          { with: [`If-Modified-Since: ${at(0)}`], from: 'store', status: 301 },
        ],
      },
    },
    {
      id: '9111-4.3.2-origin-conditions',
      level: 'MUST',
      says: 'If-Match and If-Unmodified-Since are not evaluated here: a stored response is reused as without them.',
      variants: {
        'If-Match': ignored('If-Match: "x"'),
        'If-Match: *': ignored('If-Match: *'),
        'If-Unmodified-Since': ignored(`If-Unmodified-Since: ${at(-9_999)}`),
      },
    },
    {
      id: '9111-4.3.2-origin-conditions-forwarded',
      level: 'MUST',
      says: 'When the request goes to the origin, they go with it, and its 412 comes back and is not stored.',
      variants: {
        'If-Match': forwarded('If-Match: "x"'),
        'If-Unmodified-Since': forwarded(`If-Unmodified-Since: ${at(-9_999)}`),
      },
    },
    {
      id: '9111-4.3.2-unsafe',
      level: 'MUST',
      says: 'Nor is a condition of a request that the store cannot answer; it goes to the origin as it is.',
      variants: Object.fromEntries(
        ['PUT', 'POST', 'DELETE', 'OPTIONS'].map((method) => [
          method,
          [
            { answer: ok(HOUR, 'ETag: "a"') },
            {
              send: `${method} /`,
              body: 'x',
              with: ['If-None-Match: "a"'],
              answer: reply(412),
              seen: { 'if-none-match': '"a"' },
            },
          ] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-4.3.2-miss',
      level: 'OWN',
      says: 'Where nothing is stored, a condition waits for the answer: the whole is asked for, stored, and the condition evaluated on it.',
      variants: {
        'entity tag': [
          {
            with: ['If-None-Match: "a"'],
            answer: ok(HOUR, 'ETag: "a"'),
            status: 304,
            seen: { 'if-none-match': null },
            fields: { etag: '"a"' },
          },
          { from: 'store', status: 200, text: 'content 1' },
        ],
        'another entity tag': [
          { with: ['If-None-Match: "b"'], answer: ok(HOUR, 'ETag: "a"'), status: 200 },
          { from: 'store', status: 200 },
        ],
        'Last-Modified': [
          { with: [`If-Modified-Since: ${at(-2_000)}`], answer: ok(HOUR, OLD), status: 304 },
          { from: 'store', status: 200, text: 'content 1' },
        ],
        'another Last-Modified': [{ with: [`If-Modified-Since: ${at(-4_000)}`], answer: ok(HOUR, OLD), status: 200 }],
        'not to be stored': [
          { with: ['If-None-Match: "b"'], answer: ok('Cache-Control: no-store', 'ETag: "a"'), status: 200 },
        ],
      },
    },
    {
      id: '9110-13.1.2-head',
      level: 'MUST',
      says: 'HEAD with a condition that is false gets 304 as well.',
      steps: [
        { answer: ok(HOUR, 'ETag: "a"') },
        { send: 'HEAD /', with: ['If-None-Match: "a"'], from: 'store', status: 304, fields: { etag: '"a"' } },
      ],
    },
    {
      id: '9110-15.4.5-fields',
      level: 'MUST',
      says: 'A 304 from the store has Cache-Control, Content-Location, Date, ETag, Expires and Vary as the 200 would, and an Age.',
      steps: [
        {
          answer: ok(HOUR, 'ETag: "a"', 'Content-Location: /x', `Expires: ${at(3_600)}`, 'Vary: Foo'),
        },
        {
          after: 10,
          with: ['If-None-Match: "a"'],
          from: 'store',
          status: 304,
          fields: {
            'cache-control': 'max-age=3600',
            'content-location': '/x',
            date: at(0),
            etag: '"a"',
            expires: at(3_600),
            vary: 'Foo',
            age: '10',
          },
        },
      ],
    },
    {
      id: '9110-15.4.5-no-content',
      level: 'MUST',
      says: 'A 304 has no content and does not say that it has.',
      steps: [
        { answer: ok(HOUR, 'ETag: "a"') },
        {
          with: ['If-None-Match: "a"'],
          from: 'store',
          status: 304,
          text: '',
          fields: { 'content-length': null, 'transfer-encoding': null },
        },
      ],
    },
    {
      id: '9110-15.4.5-no-metadata',
      level: 'SHOULD',
      says: 'With an entity tag to go by, it has no other fields of the representation.',
      steps: [
        { answer: ok(HOUR, 'ETag: "a"', OLD, 'Content-Type: text/plain', 'Content-Encoding: x-odd') },
        {
          with: ['If-None-Match: "a"'],
          from: 'store',
          status: 304,
          fields: { 'content-type': null, 'content-encoding': null, 'last-modified': null },
        },
      ],
    },
    {
      id: '9110-15.4.5-forwarded',
      level: 'MUST',
      says: "A client's condition that is sent on goes on unchanged, and a 304 of the origin back.",
      variants: {
        'request that is not to be stored': [
          {
            with: ['If-None-Match: "a"', 'Cache-Control: no-store'],
            answer: reply(304, 'ETag: "a"'),
            text: '',
            seen: { 'if-none-match': '"a"' },
            fields: { etag: '"a"' },
          },
        ],
        HEAD: [
          {
            send: 'HEAD /',
            with: ['If-None-Match: "a"', `If-Modified-Since: ${at(-5)}`],
            answer: reply(304, 'ETag: "a"'),
            text: '',
            seen: { 'if-none-match': '"a"', 'if-modified-since': at(-5) },
          },
        ],
      },
    },
  ],
}
