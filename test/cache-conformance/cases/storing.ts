import { type CaseGroup, ok, reply, type Step, withContent } from '../case.ts'
import { at } from '../dates.ts'

const FRESH = 'Cache-Control: max-age=3600'
const BASIC = 'Authorization: Basic YTpi'

/** Asks twice for a response with these lines: the second time the origin is asked again. */
function notStored(...lines: string[]): Step[] {
  return [{ answer: ok(...lines) }, {}]
}

/** Asks twice for a response with these lines: the second time the stored one serves. */
function stored(...lines: string[]): Step[] {
  return [{ answer: ok(...lines) }, { from: 'store' }]
}

const authorized = (answer: string, ...more: Step[]): Step[] => [{ with: [BASIC], answer: ok(answer) }, ...more]

export const storing: CaseGroup = {
  title: 'Storing responses (RFC 9111 §3)',
  file: 'storing',
  cases: [
    {
      id: '9111-3-method-understood',
      level: 'MUST',
      says: 'A response to a method whose caching is not understood is not stored, however fresh it says it is.',
      variants: Object.fromEntries(
        ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'M-SEARCH'].map((method) => [
          method,
          [{ send: `${method} /`, answer: ok('Cache-Control: public, max-age=3600') }, {}] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-3-final-status',
      level: 'MUST',
      says: 'An interim (1xx) response is not stored; the final one behind it is, and stands alone when it is reused.',
      variants: {
        103: interim('103 Early Hints'),
        102: interim('102 Processing'),
      },
    },
    {
      id: '9111-3-status-understood-304',
      level: 'MUST',
      says: "A 304 that answers a client's own condition is not stored as a response of the resource.",
      steps: [
        { with: ['If-None-Match: "mine"'], answer: reply(304, 'ETag: "mine"', FRESH), text: '' },
        { answer: ok('ETag: "mine"', FRESH), status: 200 },
      ],
    },
    {
      id: '9111-3-no-store',
      level: 'MUST',
      says: 'A response with no-store is not stored, in whatever company or spelling the directive comes.',
      variants: {
        plain: notStored('Cache-Control: no-store'),
        'with max-age': notStored('Cache-Control: max-age=3600, no-store'),
        'with Expires': notStored('Cache-Control: no-store', `Expires: ${at(3600)}`),
        'other case': notStored('Cache-Control: max-age=3600, No-StOrE'),
        'second line': notStored(FRESH, 'Cache-Control: no-store'),
        'tab around it': notStored('Cache-Control: max-age=3600,\tno-store\t'),
        'empty members': notStored('Cache-Control: ,, max-age=3600,,no-store,'),
        'with an argument': notStored('Cache-Control: max-age=3600, no-store=1'),
      },
    },
    {
      id: '9111-3-private',
      level: 'MUST',
      says: 'A shared cache does not store a private response, in whatever spelling.',
      variants: {
        plain: notStored('Cache-Control: private'),
        'with max-age': notStored('Cache-Control: private, max-age=3600'),
        'with s-maxage': notStored('Cache-Control: private, s-maxage=3600'),
        'other case': notStored('Cache-Control: max-age=3600, PRIVATE'),
        'second line': notStored(FRESH, 'Cache-Control: private'),
        'empty argument': notStored('Cache-Control: max-age=3600, private=""'),
        'tab around it': notStored('Cache-Control: max-age=3600 ,\tprivate'),
        'unclosed argument': notStored('Cache-Control: max-age=3600, private="x-a'),
      },
    },
    {
      id: '9111-3-quoted-is-no-directive',
      level: 'MAY',
      says: 'A directive name inside the quoted argument of another directive is no directive.',
      variants: {
        'no-store': stored('Cache-Control: max-age=3600, ext="a, no-store"'),
        private: stored('Cache-Control: ext="private", max-age=3600'),
        'escaped quote': stored('Cache-Control: ext="a\\", no-store", max-age=3600'),
      },
    },
    {
      id: '9111-3-explicit-or-heuristic',
      level: 'MUST',
      says: 'A response is only stored with a reason: public, Expires, max-age, s-maxage, or a status that is heuristically cacheable.',
      variants: Object.fromEntries(
        [201, 202, 302, 303, 307, 400, 403, 418, 429, 500, 502, 503, 504, 599].map((status) => [
          status,
          [{ answer: reply(status, `Last-Modified: ${at(-86_400)}`) }, {}] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-3-any-final-status',
      level: 'MAY',
      says: 'Any final status is stored and reused while it has an explicit freshness lifetime.',
      variants: Object.fromEntries(
        [
          200, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 404, 405, 410, 414, 421, 451, 499, 500, 501, 502, 503,
        ].map((status) => [status, [{ answer: reply(status, FRESH) }, { from: 'store', status }] satisfies Step[]]),
      ),
    },
    {
      id: '9111-3-any-final-status-stale',
      level: 'MUST',
      says: 'No status makes a stored response outlive its explicit freshness lifetime.',
      variants: Object.fromEntries(
        [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599].map((status) => [
          status,
          [{ answer: reply(status, 'Cache-Control: max-age=10') }, { after: 11, status }] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-3-status-of-one-request',
      level: 'OWN',
      says: 'What answers the conditions, ranges or credentials of one request, or must not be kept, is never stored.',
      variants: Object.fromEntries(
        [407, 412, 416, 417, 428, 429, 431, 511].map((status) => [
          status,
          [{ answer: reply(status, 'Cache-Control: public, max-age=3600') }, { status }] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-3-statuses-option',
      level: 'OWN',
      says: 'With the option statuses nothing but those status codes is stored.',
      options: { statuses: [200, 404] },
      steps: [
        { answer: reply(410, FRESH) },
        { status: 410 },
        { answer: reply(404, FRESH) },
        { from: 'store', status: 404 },
      ],
    },
    {
      id: '9111-3.5-authorization',
      level: 'MUST',
      says: 'A response to a request with Authorization is not stored unless it says that shared caches may.',
      variants: {
        'max-age': authorized(FRESH, { with: [BASIC] }),
        'max-age, other caller': authorized(FRESH, { with: ['Authorization: Basic eDp5'] }),
        'max-age, anonymous caller': authorized(FRESH, {}),
        Expires: authorized(`Expires: ${at(3600)}`, {}),
        'proxy-revalidate': authorized('Cache-Control: proxy-revalidate, max-age=3600', {}),
        'other case of the name': [{ with: ['AUTHORIZATION: Bearer x'], answer: ok(FRESH) }, {}],
      },
    },
    {
      id: '9111-3.5-authorization-allowed',
      level: 'MAY',
      says: 'A response to a request with Authorization is stored and shared with public, s-maxage or must-revalidate.',
      variants: {
        public: authorized('Cache-Control: public, max-age=3600', { from: 'store' }),
        's-maxage': authorized('Cache-Control: s-maxage=3600', { from: 'store' }),
        'must-revalidate': authorized('Cache-Control: max-age=3600, must-revalidate', { from: 'store' }),
      },
    },
    {
      id: '9111-3.5-authorization-reuse',
      level: 'MAY',
      says: 'A response that was stored for all serves a request with Authorization as well.',
      steps: [{ answer: ok(FRESH) }, { with: [BASIC], from: 'store' }],
    },
    {
      id: '9111-3.5-authorization-revalidate',
      level: 'MUST',
      says: 'Such a response is not reused stale, whatever the client would accept.',
      variants: {
        's-maxage': authorized('Cache-Control: s-maxage=60', { after: 61, with: ['Cache-Control: max-stale'] }),
        'must-revalidate': authorized('Cache-Control: max-age=60, must-revalidate', {
          after: 61,
          with: ['Cache-Control: max-stale'],
        }),
      },
    },
    {
      id: '9111-7.3-set-cookie',
      level: 'OWN',
      says: 'A response with Set-Cookie is not stored: it was meant for one user, even where the origin forgot to say so.',
      variants: {
        'max-age': notStored(FRESH, 'Set-Cookie: sid=1'),
        's-maxage': notStored('Cache-Control: s-maxage=3600', 'Set-Cookie: sid=1'),
        'two lines': notStored(FRESH, 'Set-Cookie: a=1', 'Set-Cookie: b=2'),
      },
    },
    {
      id: '9111-7.3-set-cookie-public',
      level: 'OWN',
      says: 'With public, or where a directive takes the field out, it is stored without the Set-Cookie; the client that the origin answered has got it.',
      variants: Object.fromEntries(
        ['public', 'no-cache="set-cookie"', 'private="set-cookie"'].map((directive) => [
          directive,
          [
            {
              answer: ok(`Cache-Control: ${directive}, max-age=3600`, 'Set-Cookie: sid=1'),
              fields: { 'set-cookie': 'sid=1' },
            },
            { from: 'store', fields: { 'set-cookie': null } },
          ] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-7.3-set-cookie-strip',
      level: 'OWN',
      says: "With setCookie: 'strip' it is stored without the Set-Cookie.",
      options: { setCookie: 'strip' },
      steps: [
        { answer: ok(FRESH, 'Set-Cookie: sid=1'), fields: { 'set-cookie': 'sid=1' } },
        { from: 'store', fields: { 'set-cookie': null } },
      ],
    },
    {
      id: '9111-3-cookie-request',
      level: 'MAY',
      says: 'A response with explicit freshness is shared whether or not requests carry a Cookie; Vary is there to say otherwise.',
      steps: [
        { with: ['Cookie: a=1'], answer: ok(FRESH) },
        { from: 'store' },
        { with: ['Cookie: a=2'], from: 'store' },
      ],
    },
    {
      id: '9111-3-extension',
      level: 'OWN',
      says: 'No path makes a response cacheable, whatever it ends with.',
      variants: Object.fromEntries(
        ['/account/x.css', '/account;x.js', '/account.php/x.png', '/account%3Bx.css', '/static/x.js'].map((path) => [
          path,
          [{ send: `GET ${path}`, answer: ok() }, { send: `GET ${path}` }] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-3-gateway-error',
      level: 'OWN',
      says: 'What the gateway itself answers when the origin fails is not stored; nor, for a lifetime that it did not ask for, an error of the origin.',
      options: { defaultTtlMs: 60_000 },
      variants: {
        'origin gone': [
          { answer: 'gone', status: 502 },
          { answer: ok(), status: 200 },
        ],
        'origin says 500': [{ answer: reply(500) }, { answer: ok(), status: 200 }],
        'origin says 400': [{ answer: reply(400) }, { answer: ok(), status: 200 }],
        'origin makes no sense': [
          { answer: { ...ok(), raw: 'HTTP/1.1 999999 No\r\n\r\n' }, status: 502 },
          { answer: ok(), status: 200 },
        ],
      },
    },
    {
      id: '9111-3-max-object',
      level: 'OWN',
      says: 'A response that is longer than maxObjectBytes goes through whole, and is not stored.',
      options: { maxObjectBytes: 10 },
      steps: [{ answer: withContent('a'.repeat(11), ok(FRESH)) }, {}],
    },
  ],
}

function interim(statusLine: string): Step[] {
  const raw = `HTTP/1.1 ${statusLine}\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nDate: ${at(0)}\r\n${FRESH}\r\nContent-Length: 4\r\n\r\nlast`
  return [
    { answer: { status: 200, lines: [], content: 'last', raw }, fields: { link: null } },
    { from: 'store', fields: { link: null } },
  ]
}
