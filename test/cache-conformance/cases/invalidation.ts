import { eventually } from '@postern/test-kit'
import { expect } from 'vitest'
import { type Answer, type CaseGroup, ok, reply, type Step } from '../case.ts'

const FRESH = 'Cache-Control: max-age=3600'
const UNSAFE = ['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH']

/** Fresh; then this request and its answer; then whether the stored one is used again. */
function after(request: string, answer: Answer, kept: boolean, path = '/'): Step[] {
  return [
    { send: `GET ${path}`, answer: ok(FRESH) },
    { send: request, body: 'x', answer },
    kept
      ? { send: `GET ${path}`, from: 'store', status: 200, text: 'content 1' }
      : { send: `GET ${path}`, answer: ok(FRESH) },
  ]
}

export const invalidation: CaseGroup = {
  title: 'Invalidation (RFC 9111 §4.4)',
  file: 'invalidation',
  cases: [
    {
      id: '9111-4.4-target',
      level: 'MUST',
      says: 'A non-error response to an unsafe method, or to one whose safety is unknown, invalidates what is stored for its URI.',
      variants: {
        ...Object.fromEntries(UNSAFE.map((method) => [method, after(`${method} /`, ok(), false)])),
        201: after('PUT /', reply(201), false),
        204: after('DELETE /', reply(204), false),
        303: after('POST /', reply(303, 'Location: /other'), false),
        'with a query': after('POST /a?b=c', ok(), false, '/a?b=c'),
      },
    },
    {
      id: '9111-4.4-all-variants',
      level: 'MUST',
      says: 'All stored responses of the URI are invalidated, whatever request fields they were chosen by.',
      steps: [
        { with: ['Foo: 1'], answer: ok(FRESH, 'Vary: Foo') },
        { with: ['Foo: 2'] },
        { send: 'POST /', body: 'x', answer: ok() },
        { with: ['Foo: 1'], answer: ok(FRESH, 'Vary: Foo') },
        { with: ['Foo: 2'] },
      ],
    },
    {
      id: '9111-4.4-all-partitions',
      level: 'MUST',
      says: 'Those of other partitions too: the resource has changed for everybody.',
      options: { partition: (req) => String(req.headers['x-user'] ?? '') },
      steps: [
        { with: ['X-User: a'], answer: ok(FRESH) },
        { with: ['X-User: b'] },
        { send: 'POST /', with: ['X-User: a'], body: 'x', answer: ok() },
        { with: ['X-User: a'], answer: ok(FRESH) },
        { with: ['X-User: b'] },
      ],
    },
    {
      id: '9111-4.4-error',
      level: 'MAY',
      says: 'An error response leaves everything as it is.',
      variants: Object.fromEntries(
        [400, 403, 404, 409, 500, 503].map((status) => [status, after('POST /', reply(status), true)]),
      ),
    },
    {
      id: '9111-4.4-other-query',
      level: 'MAY',
      says: 'Another query is another URI and stays.',
      steps: after('POST /?a=2', ok(), true, '/?a=1'),
    },
    {
      id: '9111-4.4-safe',
      level: 'MAY',
      says: 'Safe methods invalidate nothing.',
      variants: {
        OPTIONS: [{ answer: ok(FRESH) }, { send: 'OPTIONS /', answer: ok() }, { from: 'store', text: 'content 1' }],
        HEAD: [{ answer: ok(FRESH) }, { send: 'HEAD /', from: 'store' }, { from: 'store', text: 'content 1' }],
      },
    },
    {
      id: '9111-4.4-location',
      level: 'MAY',
      says: 'Location and Content-Location of the same origin are invalidated as well, relative or absolute.',
      variants: Object.fromEntries(
        ['Location', 'Content-Location'].flatMap((field) => [
          [`${field}, path`, after('POST /make', reply(201, `${field}: /made?x=1`), false, '/made?x=1')],
          [`${field}, relative`, after('PUT /things/', reply(201, `${field}: made`), false, '/things/made')],
          [`${field}, absolute`, after('DELETE /make', ok(`${field}: http://shop.example/made`), false, '/made')],
        ]),
      ),
    },
    {
      id: '9111-4.4-location-error',
      level: 'MAY',
      says: 'Not when the response is an error.',
      steps: after('POST /make', reply(500, 'Location: /made'), true, '/made'),
    },
    {
      id: '9111-4.4-other-origin',
      level: 'MUST',
      says: 'A URI of another origin is not invalidated.',
      variants: {
        host: elsewhere('Host: other.example', 'http://other.example/made'),
        port: elsewhere('Host: shop.example:81', 'http://shop.example:81/made'),
        'scheme-relative': elsewhere('Host: other.example', '//other.example/made'),
      },
    },
    {
      id: '9111-4.4-before-answer',
      level: 'MUST',
      says: 'A response that was under way before the unsafe request does not come back into the store behind it.',
      async run({ origin, send }) {
        const { promise, resolve } = Promise.withResolvers<void>()
        origin.answerWith(async ({ method }) => {
          if (method === 'GET') await promise
          return ok(FRESH)
        })
        const slow = send()
        await eventually(() => origin.requests.length === 1)
        await send('POST /', [], 'x')
        resolve()
        await slow
        origin.answerWith(ok(FRESH))
        await send()
        expect(origin.requests.map((each) => each.method)).toEqual(['GET', 'POST', 'GET'])
      },
    },
  ],
}

/** Something of that host is stored under /made; then POST to ours names it as its Location. */
function elsewhere(host: string, location: string): Step[] {
  return [
    { send: 'GET /made', with: [host], answer: ok(FRESH) },
    { send: 'POST /make', body: 'x', answer: reply(201, `Location: ${location}`, `Content-Location: ${location}`) },
    { send: 'GET /made', with: [host], from: 'store', status: 200, text: 'content 1' },
  ]
}
