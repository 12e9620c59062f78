import { type CaseGroup, ok, reply, type Step } from '../case.ts'

const FRESH = 'Cache-Control: max-age=3600'

/** The first request's response does not serve the second. */
function apart(first: Step, second: Step): Step[] {
  return [{ ...first, answer: ok(FRESH) }, second]
}

export const key: CaseGroup = {
  title: 'Keys and methods (RFC 9111 §2, §4; RFC 9110 §9)',
  file: 'key',
  cases: [
    {
      id: '9111-4-uri',
      level: 'MUST',
      says: 'A stored response serves only requests for the URI that it was stored for.',
      variants: {
        path: apart({ send: 'GET /a' }, { send: 'GET /b' }),
        'case of the path': apart({ send: 'GET /a' }, { send: 'GET /A' }),
        query: apart({ send: 'GET /?a=1' }, { send: 'GET /?a=2' }),
        'no query': apart({ send: 'GET /?a=1' }, { send: 'GET /' }),
        'empty query': apart({ send: 'GET /?' }, { send: 'GET /' }),
        'order of the query': apart({ send: 'GET /?a=1&b=2' }, { send: 'GET /?b=2&a=1' }),
        host: apart({ with: ['Host: a.example'] }, { with: ['Host: b.example'] }),
        port: apart({ with: ['Host: a.example:81'] }, { with: ['Host: a.example:82'] }),
        'end of the path': apart({ send: 'GET /account' }, { send: 'GET /account/x.css' }),
      },
    },
    {
      id: '9111-4-uri-same',
      level: 'MAY',
      says: 'A stored response with a query serves the same query; the case of the host does not matter.',
      variants: {
        query: [
          { send: 'GET /?a=1&b=2', answer: ok(FRESH) },
          { send: 'GET /?a=1&b=2', from: 'store' },
        ],
        host: [
          { with: ['Host: shop.example'], answer: ok(FRESH) },
          { with: ['Host: SHOP.example'], from: 'store' },
        ],
        'default port': [{ answer: ok(FRESH) }, { with: ['Host: shop.example:80'], from: 'store' }],
        'absolute form': [
          { send: 'GET /a', answer: ok(FRESH) },
          { send: 'GET http://shop.example/a', from: 'store' },
        ],
      },
    },
    {
      id: '9111-4-write-through',
      level: 'MUST',
      says: 'A request with an unsafe method is sent to the origin before anything is answered, whatever is stored.',
      variants: Object.fromEntries(
        ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH'].map((method) => [
          method,
          [{ answer: ok(FRESH) }, { send: `${method} /`, body: 'x', seen: { 'content-length': '1' } }] satisfies Step[],
        ]),
      ),
    },
    {
      id: '9111-4-method-allows',
      level: 'MUST',
      says: 'A response to HEAD serves no GET.',
      steps: [{ send: 'HEAD /', answer: ok(FRESH) }, { send: 'GET /' }],
    },
    {
      id: '9110-9.3.2-head-from-get',
      level: 'MAY',
      says: 'A response to GET serves HEAD, with the same fields and without content.',
      steps: [
        { answer: ok(FRESH, 'ETag: "a"', 'X-A: 1') },
        { send: 'HEAD /', from: 'store', fields: { etag: '"a"', 'x-a': '1', 'content-length': '9' } },
      ],
    },
    {
      id: '9110-9.3.2-head-from-head',
      level: 'MAY',
      says: 'A response to HEAD serves later HEAD requests.',
      steps: [
        { send: 'HEAD /', answer: ok(FRESH, 'X-A: 1') },
        { send: 'HEAD /', from: 'store', fields: { 'x-a': '1' } },
      ],
    },
    {
      id: '9110-9.3.3-post-not-by-default',
      level: 'OWN',
      says: 'Responses to POST are not stored unless the option methods names POST.',
      steps: [{ send: 'POST /', body: 'x', answer: ok(FRESH, 'Content-Location: /') }, { send: 'GET /' }],
    },
    {
      id: '9110-9.3.3-post-serves-get',
      level: 'MAY',
      says: 'With it, a response to POST with explicit freshness and the target as its Content-Location serves GET and HEAD.',
      options: { methods: ['GET', 'HEAD', 'POST'] },
      variants: {
        GET: [
          { send: 'POST /a', body: 'x', answer: ok(FRESH, 'Content-Location: /a') },
          { send: 'GET /a', from: 'store' },
        ],
        HEAD: [
          { send: 'POST /a', body: 'x', answer: ok(FRESH, 'Content-Location: http://shop.example/a') },
          { send: 'HEAD /a', from: 'store' },
        ],
      },
    },
    {
      id: '9110-9.3.3-post-conditions',
      level: 'MUST',
      says: 'A response to POST without explicit freshness or without the target as its Content-Location is not reused.',
      options: { methods: ['GET', 'HEAD', 'POST'] },
      variants: {
        'no Content-Location': [{ send: 'POST /a', body: 'x', answer: ok(FRESH) }, { send: 'GET /a' }],
        'another Content-Location': [
          { send: 'POST /a', body: 'x', answer: ok(FRESH, 'Content-Location: /b') },
          { send: 'GET /a' },
        ],
        'no freshness': [
          { send: 'POST /a', body: 'x', answer: ok('Content-Location: /a', 'Cache-Control: public') },
          { send: 'GET /a' },
        ],
      },
    },
    {
      id: '9110-9.3.3-post-writes-through',
      level: 'MUST',
      says: 'A POST is not answered from the store, not even from a response to the same POST.',
      options: { methods: ['GET', 'HEAD', 'POST'] },
      steps: [
        { send: 'POST /a', body: 'x', answer: ok(FRESH, 'Content-Location: /a') },
        { send: 'POST /a', body: 'x' },
      ],
    },
    {
      id: '9110-9.3.7-options',
      level: 'MUST',
      says: 'OPTIONS is neither answered from the store nor stored.',
      steps: [{ answer: ok(FRESH) }, { send: 'OPTIONS /', answer: ok(FRESH) }, { send: 'OPTIONS /' }],
    },
    {
      id: '9110-9.3.1-content',
      level: 'OWN',
      says: 'A GET with content is not answered from the store and its response not stored, since the content may have changed it.',
      variants: {
        'stored before': [{ answer: ok(FRESH) }, { body: 'x' }],
        'asked first': [{ body: 'x', answer: ok(FRESH) }, {}],
        chunked: [{ with: ['Transfer-Encoding: chunked'], body: '1\r\nx\r\n0\r\n\r\n', answer: ok(FRESH) }, {}],
      },
    },
    {
      id: '9111-2-unkeyed-input',
      level: 'OWN',
      says: 'Requests with fields that may change the answer without being in the key are kept apart from the others.',
      variants: Object.fromEntries(
        [
          'X-Forwarded-Host: evil.example',
          'X-Host: evil.example',
          'X-Original-URL: /evil',
          'X-Rewrite-URL: /evil',
          'X-HTTP-Method-Override: DELETE',
          'X-Forwarded-Scheme: http',
        ].map((line) => [line.slice(0, line.indexOf(':')), [{ with: [line], answer: ok(FRESH) }, {}] satisfies Step[]]),
      ),
    },
    {
      id: '9111-2-key-option',
      level: 'OWN',
      says: 'The option key adds a part to the key.',
      options: { key: (req) => String(req.headers['x-tenant'] ?? '') },
      steps: [
        { with: ['X-Tenant: a'], answer: ok(FRESH) },
        { with: ['X-Tenant: b'] },
        { with: ['X-Tenant: a'], from: 'store', text: 'content 1' },
        { with: ['X-Tenant: b'], from: 'store', text: 'content 2' },
      ],
    },
    {
      id: '9111-2-query-option',
      level: 'OWN',
      says: 'The option query leaves parameters out of the key or sorts them.',
      options: { query: { ignore: ['utm_source'], sort: true } },
      steps: [
        { send: 'GET /?a=1&b=2&utm_source=x', answer: ok(FRESH) },
        { send: 'GET /?b=2&a=1', from: 'store' },
        { send: 'GET /?b=2&a=2' },
      ],
    },
    {
      id: '9111-2-partition-option',
      level: 'OWN',
      says: 'With the option partition callers share nothing that another partition stored.',
      options: { partition: (req) => String(req.headers['x-user'] ?? '') },
      steps: [
        { with: ['X-User: a'], answer: ok(FRESH) },
        { with: ['X-User: b'] },
        { with: ['X-User: a'], from: 'store', text: 'content 1' },
      ],
    },
    {
      id: '9111-2-bypass-option',
      level: 'OWN',
      says: 'A request that the option bypass picks out is neither answered from the store nor is its response stored.',
      options: { bypass: (req) => req.headers['x-bypass'] !== undefined },
      steps: [
        { with: ['X-Bypass: 1'], answer: ok(FRESH) },
        {},
        { with: ['X-Bypass: 1'], cacheStatus: /fwd=bypass/ },
        { from: 'store', text: 'content 2' },
      ],
    },
    {
      id: '9111-4-replaces',
      level: 'MUST',
      says: 'The most recent response takes the place of the one before.',
      steps: [
        { answer: ok(FRESH) },
        { with: ['Cache-Control: no-cache'], answer: reply(404, FRESH) },
        { from: 'store', status: 404, text: 'content 2' },
      ],
    },
  ],
}
