import { type CaseGroup, ok, type Step } from '../case.ts'
import { at } from '../dates.ts'

const stored = (...lines: string[]): Step[] => [{ answer: ok(...lines) }, { after: 50, from: 'store' }]
const dead = (...lines: string[]): Step[] => [{ answer: ok(...lines) }, { after: 2 }]

export const targeted: CaseGroup = {
  title: 'Targeted cache control (RFC 9213)',
  file: 'targeted',
  cases: [
    {
      id: '9213-2.2-selects',
      level: 'MUST',
      says: 'The first field of the target list that the response has decides; Cache-Control and Expires are ignored then.',
      variants: {
        'longer than Cache-Control': stored('Cache-Control: max-age=1', 'CDN-Cache-Control: max-age=60'),
        'shorter than Cache-Control': dead('Cache-Control: max-age=60', 'CDN-Cache-Control: max-age=1'),
        'against no-store': stored('Cache-Control: no-store', 'CDN-Cache-Control: max-age=60'),
        'against private': stored('Cache-Control: private', 'CDN-Cache-Control: max-age=60'),
        'against s-maxage': dead('Cache-Control: s-maxage=60', 'CDN-Cache-Control: max-age=1'),
        'against a past Expires': stored('CDN-Cache-Control: max-age=60', `Expires: ${at(-9)}`),
        'against an invalid Expires': stored('CDN-Cache-Control: max-age=60', 'Expires: 0'),
        'against a future Expires': dead('CDN-Cache-Control: max-age=0', `Expires: ${at(999)}`),
        'Expires is no freshness': dead('CDN-Cache-Control: must-revalidate', `Expires: ${at(999)}`),
        'no-store': dead('Cache-Control: max-age=60', 'CDN-Cache-Control: no-store', `Expires: ${at(999)}`),
        private: dead('Cache-Control: max-age=60', 'CDN-Cache-Control: private', `Expires: ${at(999)}`),
        'no-cache': dead('Cache-Control: max-age=60', 'CDN-Cache-Control: no-cache', `Expires: ${at(999)}`),
        'a word that says nothing, against no-store': stored(
          'Cache-Control: no-store',
          'CDN-Cache-Control: none',
          `Last-Modified: ${at(-86_400)}`,
        ),
        'our own name first': stored('CDN-Cache-Control: no-store', 'Postern-Cache-Control: max-age=60'),
        'our own name first, stricter': dead('CDN-Cache-Control: max-age=60', 'Postern-Cache-Control: no-store'),
      },
    },
    {
      id: '9213-2.2-directives',
      level: 'MUST',
      says: 'max-age, must-revalidate, no-store, no-cache and private mean in it what they mean in Cache-Control.',
      variants: {
        'max-age': stored('CDN-Cache-Control: max-age=60'),
        'must-revalidate': [
          { answer: ok('CDN-Cache-Control: max-age=60, must-revalidate') },
          { after: 61, with: ['Cache-Control: max-stale'] },
        ],
        'no-cache': [
          { answer: ok('CDN-Cache-Control: max-age=60, no-cache', 'ETag: "a"') },
          {
            answer: { status: 304, lines: ['ETag: "a"', 'CDN-Cache-Control: max-age=60, no-cache'] },
            from: 'validation',
          },
        ],
        'Age counts': dead('CDN-Cache-Control: max-age=60', 'Age: 61'),
        '2^31': stored('CDN-Cache-Control: max-age=2147483648'),
        'eleven nines': stored('CDN-Cache-Control: max-age=99999999999'),
      },
    },
    {
      id: '9213-2.2-more-directives',
      level: 'SHOULD',
      says: 'So do the others that are known in Cache-Control.',
      variants: {
        'stale-while-revalidate': [
          { answer: ok('CDN-Cache-Control: max-age=60, stale-while-revalidate=60') },
          { after: 61, from: 'background' },
        ],
        's-maxage': stored('CDN-Cache-Control: max-age=1, s-maxage=60'),
        'proxy-revalidate': [
          { answer: ok('CDN-Cache-Control: max-age=60, proxy-revalidate') },
          { after: 61, with: ['Cache-Control: max-stale'] },
        ],
        'no-cache with fields': [
          { answer: ok('CDN-Cache-Control: max-age=60, no-cache="x-a"', 'X-A: 1', 'X-B: 2') },
          { from: 'store', fields: { 'x-a': null, 'x-b': '2' } },
        ],
      },
    },
    {
      id: '9213-2.4-suffix',
      level: 'MUST',
      says: 'The ending of its name makes no field a targeted one.',
      steps: stored('Cache-Control: max-age=60', 'Other-Cache-Control: no-store', 'X-Cache-Control: private'),
    },
    {
      id: '9213-2.1-invalid',
      level: 'MUST',
      says: 'A field that is empty or no Structured Fields dictionary is ignored, as if it were not there.',
      variants: {
        'unknown type': dead('CDN-Cache-Control: max-age=60, &&&&&', 'Cache-Control: no-store'),
        'unknown type, Cache-Control counts': stored('CDN-Cache-Control: no-store, &&&&&', 'Cache-Control: max-age=60'),
        empty: stored('CDN-Cache-Control:', 'Cache-Control: max-age=60'),
        'space before the sign': dead('CDN-Cache-Control: max-age =60', 'Cache-Control: max-age=1'),
        'space behind the sign': dead('CDN-Cache-Control: max-age= 60', 'Cache-Control: max-age=1'),
        'trailing comma': dead('CDN-Cache-Control: max-age=60,', 'Cache-Control: max-age=1'),
        'capital in a key': dead('CDN-Cache-Control: Max-Age=60', 'Cache-Control: max-age=1'),
        'the next field counts': stored('Postern-Cache-Control: ?', 'CDN-Cache-Control: max-age=60'),
      },
    },
    {
      id: '9213-2.1-wrong-type',
      level: 'SHOULD',
      says: 'A value of the wrong type gives no freshness.',
      variants: {
        string: dead('CDN-Cache-Control: max-age="60"', 'Cache-Control: no-store'),
        decimal: dead('CDN-Cache-Control: max-age=60.5', 'Cache-Control: no-store'),
        negative: dead('CDN-Cache-Control: max-age=-60', 'Cache-Control: no-store'),
      },
    },
    {
      id: '9213-2.1-parameters',
      level: 'MUST',
      says: 'Parameters and unknown members are ignored.',
      variants: {
        parameter: stored('CDN-Cache-Control: max-age=60;x=1'),
        member: stored('CDN-Cache-Control: foobar, max-age=60, n=2.5, l=(a b)'),
        lines: stored('CDN-Cache-Control: max-age=60', 'CDN-Cache-Control: foobar'),
      },
    },
    {
      id: '9213-2.1-last-member',
      level: 'MUST',
      says: 'Of a member that is given twice the last counts, as in any dictionary.',
      variants: {
        longer: stored('CDN-Cache-Control: max-age=1, max-age=60'),
        shorter: dead('CDN-Cache-Control: max-age=60, max-age=1'),
      },
    },
    {
      id: '9213-2.2-not-listed',
      level: 'MUST',
      says: 'A field that is not on the list changes nothing, and is passed through.',
      options: { targeted: ['Shop-Cache-Control'] },
      variants: {
        'passed through': [
          { answer: ok('CDN-Cache-Control: max-age=60', 'Cache-Control: max-age=60') },
          { from: 'store', fields: { 'cdn-cache-control': 'max-age=60' } },
        ],
        'another cache': dead('CDN-Cache-Control: max-age=60', 'Cache-Control: max-age=1'),
        'its own': stored('CDN-Cache-Control: no-store', 'Shop-Cache-Control: max-age=60', 'Cache-Control: no-store'),
      },
    },
    {
      id: '9213-3.1-forwarded',
      level: 'MAY',
      says: 'CDN-Cache-Control is passed on, so that caches in front of this one can go by it.',
      steps: [
        { answer: ok('CDN-Cache-Control: max-age=60'), fields: { 'cdn-cache-control': 'max-age=60' } },
        { from: 'store', fields: { 'cdn-cache-control': 'max-age=60' } },
      ],
    },
    {
      id: '9213-2.2-authorization',
      level: 'MUST',
      says: 'What shared caches may do with answers to requests with Authorization goes by it, too.',
      variants: {
        'max-age alone': [
          { with: ['Authorization: Basic YTpi'], answer: ok('CDN-Cache-Control: max-age=60', 'Cache-Control: public') },
          {},
        ],
        public: [
          { with: ['Authorization: Basic YTpi'], answer: ok('CDN-Cache-Control: max-age=60, public') },
          { from: 'store' },
        ],
      },
    },
  ],
}
