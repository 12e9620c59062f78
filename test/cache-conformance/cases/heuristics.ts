import { type CaseGroup, ok, reply, type Step } from '../case.ts'
import { at } from '../dates.ts'

const DAY_OLD = `Last-Modified: ${at(-86_400)}`

/** Lives for a tenth of a day, that is 8,640 seconds, and not longer. */
function tenth(status: number, ...lines: string[]): Step[] {
  return [{ answer: reply(status, DAY_OLD, ...lines) }, { after: 8_639, from: 'store', status }, { after: 2, status }]
}

const dead = (...lines: string[]): Step[] => [{ answer: ok(...lines) }, {}]

export const heuristics: CaseGroup = {
  title: 'Heuristic freshness (RFC 9111 §4.2.2, RFC 9110 §15.1)',
  file: 'heuristics',
  cases: [
    {
      id: '9111-4.2.2-last-modified',
      level: 'MAY',
      says: 'Without explicit freshness a response lives for a tenth of the time since Last-Modified.',
      variants: {
        'a day': tenth(200),
        'an hour': [{ answer: ok(`Last-Modified: ${at(-3_600)}`) }, { after: 359, from: 'store' }, { after: 2 }],
        'with a query': [
          { send: 'GET /?a', answer: ok(DAY_OLD) },
          { send: 'GET /?a', after: 60, from: 'store' },
        ],
        'as a download': tenth(200, 'Content-Disposition: attachment; filename=a.txt'),
      },
    },
    {
      id: '9110-15.1-heuristic-status',
      level: 'MAY',
      says: 'Of 200, 203, 204, 300, 301, 308, 404 and 410 freshness is estimated.',
      variants: Object.fromEntries([200, 203, 204, 300, 301, 308, 404, 410].map((status) => [status, tenth(status)])),
    },
    {
      id: '9110-15.1-not-heuristic-status',
      level: 'MUST',
      says: 'Of no other status it is, unless the response is public.',
      variants: Object.fromEntries(
        [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599].map((status) => [
          status,
          [{ answer: reply(status, DAY_OLD) }, { status }] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-5.2.2.9-public-heuristic',
      level: 'MAY',
      says: 'A public response is heuristically cacheable whatever its status.',
      variants: {
        302: tenth(302, 'Cache-Control: public'),
        403: tenth(403, 'Cache-Control: public'),
        418: tenth(418, 'Cache-Control: public'),
      },
    },
    {
      id: '9110-15.1-errors-of-one-request',
      level: 'OWN',
      says: 'Nothing is estimated of errors that one odd request can cause or that pass, 405, 414 and 501 among them, be they public.',
      variants: Object.fromEntries(
        [400, 405, 413, 414, 500, 501, 503, 599].map((status) => [
          status,
          [{ answer: reply(status, DAY_OLD, 'Cache-Control: public') }, { status }] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-4.2.2-explicit',
      level: 'MUST',
      says: 'Nothing is estimated when the response has an explicit expiration time, even one that is past or invalid.',
      variants: {
        'max-age=0': dead(DAY_OLD, 'Cache-Control: max-age=0'),
        's-maxage=0': dead(DAY_OLD, 'Cache-Control: s-maxage=0'),
        'max-age invalid': dead(DAY_OLD, 'Cache-Control: max-age=x'),
        'Expires past': dead(DAY_OLD, `Expires: ${at(-10)}`),
        'Expires invalid': dead(DAY_OLD, 'Expires: 0'),
      },
    },
    {
      id: '9111-4.2.2-no-ground',
      level: 'OWN',
      says: 'Nothing is estimated without a Last-Modified to go by, or with one that is not in the past.',
      variants: {
        none: dead(),
        'none, public': dead('Cache-Control: public'),
        'of this moment': dead(`Last-Modified: ${at(0)}`),
        'in the future': dead(`Last-Modified: ${at(3_600)}`),
        invalid: dead('Last-Modified: yesterday'),
      },
    },
    {
      id: '9111-4.2.2-most',
      level: 'OWN',
      says: 'An estimated lifetime is a day at most.',
      steps: [{ answer: ok(`Last-Modified: ${at(-365 * 86_400)}`) }, { after: 86_399, from: 'store' }, { after: 2 }],
    },
    {
      id: '9111-4.2.2-cookie',
      level: 'OWN',
      says: 'Nothing is estimated for a response to a request with a Cookie: such a response is likely to be for its sender.',
      variants: {
        'asked with a cookie': [{ with: ['Cookie: sid=1'], answer: ok(DAY_OLD) }, {}],
      },
    },
    {
      id: '9111-4.2.2-off',
      level: 'OWN',
      says: 'With heuristics: false nothing is estimated.',
      options: { heuristics: false },
      steps: dead(DAY_OLD),
    },
    {
      id: '9111-4.2.2-options',
      level: 'OWN',
      says: 'Share and most of the estimate are options.',
      options: { heuristics: { share: 0.5, maxMs: 100_000 } },
      variants: {
        share: [{ answer: ok(`Last-Modified: ${at(-100)}`) }, { after: 49, from: 'store' }, { after: 2 }],
        most: [{ answer: ok(DAY_OLD) }, { after: 99, from: 'store' }, { after: 2 }],
      },
    },
  ],
}
