import { type CaseGroup, ok, type Step } from '../case.ts'
import { at } from '../dates.ts'

const HOUR = 'Cache-Control: max-age=3600'

const stored = (...lines: string[]): Step[] => [{ answer: ok(...lines) }, { from: 'store' }]
const dead = (...lines: string[]): Step[] => [{ answer: ok(...lines) }, {}]

/** Reused with this Age. */
function aged(age: string, ...lines: string[]): Step[] {
  return [{ answer: ok(HOUR, ...lines) }, { from: 'store', fields: { age } }]
}

export const fields: CaseGroup = {
  title: 'Fields and response directives (RFC 9111 §5)',
  file: 'fields',
  cases: [
    {
      id: '9111-5.1-age-list',
      level: 'SHOULD',
      says: 'Of several Age values the first counts.',
      variants: {
        'old, 0': dead(HOUR, 'Age: 7200, 0'),
        'old, 0 on two lines': dead(HOUR, 'Age: 7200', 'Age: 0'),
        '0, old': aged('0', 'Age: 0, 7200'),
        '0, old on two lines': aged('0', 'Age: 0', 'Age: 7200'),
        '10, 10': aged('10', 'Age: 10, 10'),
      },
    },
    {
      id: '9111-5.1-age-invalid',
      level: 'SHOULD',
      says: 'An Age that is no whole number of seconds is ignored.',
      variants: {
        letters: aged('0', 'Age: abc'),
        negative: aged('0', 'Age: -7200'),
        decimal: aged('0', 'Age: 7200.0'),
        empty: aged('0', 'Age:'),
        'invalid first': aged('0', 'Age: x, 7200'),
      },
    },
    {
      id: '9111-1.2.2-age-overflow',
      level: 'MUST',
      says: 'An Age beyond what can be counted is very old.',
      steps: dead('Cache-Control: max-age=99999999', 'Age: 99999999999999999999'),
    },
    {
      id: '9111-5.2-case',
      level: 'MUST',
      says: 'Names of directives are compared without case.',
      variants: {
        'max-age': stored('Cache-Control: MaX-aGe=60'),
        's-maxage': stored('Cache-Control: S-MAXAGE=60'),
      },
    },
    {
      id: '9111-5.2-quoted',
      level: 'SHOULD',
      says: 'Arguments are understood as token and as quoted string.',
      variants: {
        'max-age': stored('Cache-Control: max-age="60"'),
        's-maxage': stored('Cache-Control: s-maxage="60"'),
        'leading zeros': stored('Cache-Control: max-age=0060'),
      },
    },
    {
      id: '9111-5.2-quoted-text',
      level: 'MUST',
      says: 'What stands inside a quoted argument is no directive.',
      variants: {
        'in front': [{ answer: ok('Cache-Control: ext="max-age=3600", max-age=1') }, { after: 2 }],
        behind: [{ answer: ok('Cache-Control: max-age=1, ext="max-age=3600"') }, { after: 2 }],
        alone: dead('Cache-Control: ext="max-age=3600"'),
      },
    },
    {
      id: '9111-5.2.3-unknown',
      level: 'MUST',
      says: 'Unknown directives are ignored.',
      variants: {
        'in front': stored('Cache-Control: foobar, max-age=60'),
        behind: stored('Cache-Control: max-age=60, foo=bar, baz="a,b"'),
        'like a known one': stored('Cache-Control: max-age=60, no-storex, xprivate, no-cache-ever=1'),
      },
    },
    {
      id: '9111-5.2.2.2-must-revalidate-fresh',
      level: 'MAY',
      says: 'must-revalidate, proxy-revalidate: while it is fresh the response is reused.',
      variants: {
        'must-revalidate': stored('Cache-Control: max-age=60, must-revalidate'),
        'proxy-revalidate': stored('Cache-Control: max-age=60, proxy-revalidate'),
      },
    },
    {
      id: '9111-5.2.2.3-must-understand',
      level: 'SHOULD',
      says: 'must-understand: no-store beside it is ignored when the status is one whose caching is implemented.',
      steps: stored('Cache-Control: must-understand, no-store, max-age=60'),
    },
    {
      id: '9111-5.2.2.3-must-understand-unknown',
      level: 'MUST',
      says: 'A response with must-understand and another status is not stored.',
      variants: {
        'with no-store': [
          { answer: { status: 299, lines: ['Cache-Control: must-understand, no-store, max-age=60'] } },
          { status: 299 },
        ],
        alone: [{ answer: { status: 599, lines: ['Cache-Control: must-understand, max-age=60'] } }, { status: 599 }],
      },
    },
    {
      id: '9111-5.2.2.5-older-response',
      level: 'MAY',
      says: 'A newer response with no-store takes the older one out of use: what it says is the latest word.',
      steps: [
        { answer: ok('Cache-Control: max-age=10') },
        { after: 11, answer: ok('Cache-Control: no-store') },
        { with: ['Cache-Control: max-stale'] },
      ],
    },
    {
      id: '9111-5.3-invalid',
      level: 'MUST',
      says: 'An Expires that is no HTTP date lies in the past.',
      variants: {
        0: dead('Expires: 0'),
        '-1': dead('Expires: -1'),
        words: dead('Expires: tomorrow'),
        'two-digit year': dead('Expires: Thu, 18 Aug 50 02:01:18 GMT'),
        'no comma': dead('Expires: Thu 18 Aug 2050 02:01:18 GMT'),
        'two spaces': dead('Expires: Thu, 18  Aug  2050 02:01:18 GMT'),
        dashes: dead('Expires: Thu, 18-Aug-2050 02:01:18 GMT'),
        points: dead('Expires: Thu, 18 Aug 2050 02.01.18 GMT'),
        'one-digit hour': dead('Expires: Thu, 18 Aug 2050 2:01:18 GMT'),
        'no such day': dead('Expires: Thu, 31 Feb 2050 02:01:18 GMT'),
        'ISO 8601': dead('Expires: 2050-08-18T02:01:18Z'),
      },
    },
    {
      id: '9111-5.3-ignored',
      level: 'MUST',
      says: 'Expires is ignored beside max-age or s-maxage.',
      variants: {
        'max-age': stored('Cache-Control: max-age=60', `Expires: ${at(-9)}`),
        's-maxage': stored('Cache-Control: s-maxage=60', `Expires: ${at(-9)}`),
        'max-age=0': dead('Cache-Control: max-age=0', `Expires: ${at(999)}`),
      },
    },
    {
      id: '9111-5.3-kept',
      level: 'MUST',
      says: 'It is passed on as it came, also when it is invalid.',
      steps: [{ answer: ok(HOUR, 'Expires: 0') }, { from: 'store', fields: { expires: '0' } }],
    },
    {
      id: '8246-2-immutable-fresh',
      level: 'SHOULD',
      says: 'immutable: a fresh response is not validated, except for a client that asks for it.',
      variants: {
        plain: [{ answer: ok('Cache-Control: max-age=60, immutable', 'ETag: "a"') }, { after: 50, from: 'store' }],
        'client condition': [
          { answer: ok('Cache-Control: max-age=60, immutable', 'ETag: "a"') },
          { with: ['If-None-Match: "a"'], from: 'store', status: 304 },
        ],
        'with an argument': [
          { answer: ok('Cache-Control: max-age=60, immutable=1', 'ETag: "a"') },
          { after: 50, from: 'store' },
        ],
        'reload by the client': [
          { answer: ok('Cache-Control: max-age=60, immutable', 'ETag: "a"') },
          { after: 1, with: ['Cache-Control: max-age=0'], from: 'store' },
        ],
        'no-cache from the client': [
          { answer: ok('Cache-Control: max-age=60, immutable', 'ETag: "a"') },
          {
            with: ['Cache-Control: no-cache'],
            answer: { status: 304, lines: ['ETag: "a"', 'Cache-Control: max-age=60, immutable'] },
            from: 'validation',
          },
        ],
      },
    },
    {
      id: '8246-2-immutable-stale',
      level: 'SHOULD',
      says: 'Stale, it is validated like any other.',
      steps: [
        { answer: ok('Cache-Control: max-age=60, immutable', 'ETag: "a"') },
        {
          after: 61,
          answer: { status: 304, lines: ['ETag: "a"', 'Cache-Control: max-age=60, immutable'] },
          from: 'validation',
        },
      ],
    },
    {
      id: '8246-2-no-freshness',
      level: 'SHOULD',
      says: 'It gives no freshness lifetime of its own.',
      steps: dead('Cache-Control: immutable', 'ETag: "a"'),
    },
  ],
}
