import { type CaseGroup, ok, type Step } from '../case.ts'
import { at } from '../dates.ts'

const FRESH = 'Cache-Control: max-age=3600'

/** Stored for a request with the first lines, not reused for one with the second. */
function differ(vary: string, first: readonly string[], second: readonly string[]): Step[] {
  return [
    { with: first, answer: ok(FRESH, `Vary: ${vary}`) },
    { with: second, cacheStatus: /fwd=vary-miss/ },
  ]
}

/** Stored for a request with the first lines, reused for one with the second. */
function match(vary: string, first: readonly string[], second: readonly string[]): Step[] {
  return [
    { with: first, answer: ok(FRESH, `Vary: ${vary}`) },
    { with: second, from: 'store' },
  ]
}

const never = (...vary: string[]): Step[] => [
  { with: ['Foo: 1'], answer: ok(FRESH, ...vary.map((each) => `Vary: ${each}`)) },
  { with: ['Foo: 1'] },
]

export const vary: CaseGroup = {
  title: 'Vary (RFC 9111 §4.1, RFC 9110 §12.5.5)',
  file: 'vary',
  cases: [
    {
      id: '9111-4.1-match',
      level: 'MUST',
      says: 'A stored response is not reused unless all request fields that its Vary names match those of the original request.',
      variants: {
        'another value': differ('Foo', ['Foo: 1'], ['Foo: 2']),
        'one of two': differ('Foo, Bar', ['Foo: 1', 'Bar: a'], ['Foo: 1', 'Bar: b']),
        'two of three': differ('Foo, Bar, Baz', ['Foo: 1', 'Bar: a', 'Baz: x'], ['Foo: 2', 'Bar: a', 'Baz: y']),
        'other case of the name': differ('fOO', ['Foo: 1'], ['FOO: 2']),
        'another order of values': differ('Foo', ['Foo: 1, 2'], ['Foo: 2, 1']),
        'case of an unknown value': differ('Foo', ['Foo: a'], ['Foo: A']),
        Cookie: differ('Cookie', ['Cookie: a=1'], ['Cookie: a=2']),
      },
    },
    {
      id: '9111-4.1-absent',
      level: 'MUST',
      says: 'A field that is absent from one request matches only when it is absent from the other.',
      variants: {
        'absent now': differ('Foo', ['Foo: 1'], []),
        'absent then': differ('Foo', [], ['Foo: 1']),
        'empty now': differ('Foo', [], ['Foo:']),
        'one of two': differ('Foo, Bar', ['Foo: 1'], ['Foo: 1', 'Bar: a']),
      },
    },
    {
      id: '9111-4.1-reuse',
      level: 'MAY',
      says: 'A stored response with Vary is reused when the fields match, whatever the others are.',
      variants: {
        one: match('Foo', ['Foo: 1'], ['Foo: 1']),
        two: match('Foo, Bar', ['Foo: 1', 'Bar: a'], ['Bar: a', 'Foo: 1']),
        three: match('Foo, Bar, Baz', ['Foo: 1', 'Bar: a', 'Baz: x'], ['Foo: 1', 'Bar: a', 'Baz: x']),
        'both without': match('Foo, Bar', ['Foo: 1'], ['Foo: 1']),
        'other field': match('Foo', ['Foo: 1', 'Other: 1'], ['Foo: 1', 'Other: 2']),
        'empty Vary': match('', ['Foo: 1'], ['Foo: 2']),
      },
    },
    {
      id: '9111-4.1-star',
      level: 'MUST',
      says: 'A Vary with a member * matches no request, wherever the member stands.',
      variants: {
        '*': never('*'),
        '*, *': never('*, *'),
        ', *': never(', *'),
        '*, Foo': never('*, Foo'),
        'Foo, *': never('Foo, *'),
        'Foo,*': never('Foo,*'),
        'second line': never('Foo', '*'),
        'two lines': never('*', '*'),
        'empty line first': never('', '*'),
      },
    },
    {
      id: '9111-4.1-other-variants',
      level: 'MAY',
      says: 'Responses for different values stand beside each other.',
      steps: [
        { with: ['Foo: 1'], answer: ok(FRESH, 'Vary: Foo') },
        { with: ['Foo: 2'] },
        { with: ['Foo: 1'], from: 'store', text: 'content 1' },
        { with: ['Foo: 2'], from: 'store', text: 'content 2' },
      ],
    },
    {
      id: '9111-4.1-normalise',
      level: 'MAY',
      says: 'Values that differ only in what means nothing match.',
      variants: {
        'several lines': match('Foo', ['Foo: 1, 2'], ['Foo: 1', 'Foo: 2']),
        'space around the value': match('Foo', ['Foo: 1'], ['Foo:   1  ']),
        'space in a known list': match('Accept-Encoding', ['Accept-Encoding: gzip,br'], ['Accept-Encoding: gzip, br']),
        'case of a language': match('Accept-Language', ['Accept-Language: de-AT'], ['Accept-Language: de-at']),
        'order of languages': match('Accept-Language', ['Accept-Language: en, de'], ['Accept-Language: de, en']),
        'weight of one': match('Accept', ['Accept: text/html;q=1'], ['Accept: text/html']),
        'case of a coding': match('Accept-Encoding', ['Accept-Encoding: gzip'], ['Accept-Encoding: GZIP']),
      },
    },
    {
      id: '9111-4.1-normalise-weights',
      level: 'MUST',
      says: 'Values that mean something else do not, however alike they look.',
      variants: {
        'other weights': differ('Accept', ['Accept: a/b, c/d;q=0.5'], ['Accept: a/b;q=0.5, c/d']),
        'refused coding': differ('Accept-Encoding', ['Accept-Encoding: gzip'], ['Accept-Encoding: gzip;q=0']),
        'comma in quotes': differ('Foo', ['Foo: "a,b"'], ['Foo: "a, b"']),
      },
    },
    {
      id: '9111-4-most-recent',
      level: 'MUST',
      says: 'When several stored responses match, the most recent one by its Date is used, not the one that was stored last.',
      variants: {
        'newer stored last': twoMatches(at(0), at(5), 'content 2'),
        'newer stored first': twoMatches(at(0), at(-60), 'content 1'),
      },
    },
    {
      id: '9111-4.1-default-without-vary',
      level: 'SHOULD',
      says: 'Beside a response that lacks Vary, the most recent response with a Vary that matches is chosen.',
      steps: [
        { with: ['Foo: 1'], answer: ok(FRESH, 'Vary: Foo') },
        { after: 5, with: ['Foo: 2'], answer: ok(FRESH) },
        { after: 5, with: ['Foo: 1'], from: 'store', text: 'content 1' },
        { with: ['Foo: 3'], from: 'store', text: 'content 2' },
      ],
    },
    {
      id: '9111-4.1-selecting-fields-of-304',
      level: 'MUST',
      says: 'A variant that was validated keeps the request fields that it was chosen by.',
      steps: [
        { with: ['Foo: 1'], answer: ok('Cache-Control: max-age=10', 'ETag: "1"', 'Vary: Foo') },
        {
          after: 11,
          with: ['Foo: 1'],
          answer: { status: 304, lines: ['Cache-Control: max-age=10', 'ETag: "1"', 'Vary: Foo'] },
          from: 'validation',
          seen: { foo: '1' },
        },
        { with: ['Foo: 1'], from: 'store' },
        { with: ['Foo: 2'], answer: ok(FRESH, 'ETag: "2"', 'Vary: Foo') },
      ],
    },
  ],
}

/** Two responses with different Vary lists, both of which match the last request. */
function twoMatches(first: string, second: string, text: string): Step[] {
  return [
    { with: ['Foo: 1', 'Bar: 1'], answer: ok(FRESH, 'Vary: Foo', `Date: ${first}`) },
    { after: 5, with: ['Foo: 2', 'Bar: 1'], answer: ok(FRESH, 'Vary: Bar', `Date: ${second}`) },
    { after: 5, with: ['Foo: 1', 'Bar: 1'], from: 'store', text },
  ]
}
