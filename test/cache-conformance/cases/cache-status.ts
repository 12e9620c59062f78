import { eventually } from '@postern/test-kit'
import { expect } from 'vitest'
import { type CaseGroup, ok, reply } from '../case.ts'

const HOUR = 'Cache-Control: max-age=3600'
const MINUTE = 'Cache-Control: max-age=60'

const PART = { ...reply(206, HOUR, 'Content-Range: bytes 0-1/4', 'ETag: "a"'), content: 'ab' }

const NONE_OF_OURS = { 'cache-status': null }

export const cacheStatus: CaseGroup = {
  title: 'Cache-Status (RFC 9211)',
  file: 'cache-status',
  cases: [
    {
      id: '9211-2.1-hit',
      level: 'MUST',
      says: 'hit marks an answer from the store for which nothing was forwarded; fwd is not beside it.',
      variants: {
        200: [{ answer: ok(HOUR) }, { from: 'store', cacheStatus: /^Postern; hit(?!.*fwd)/ }],
        304: [
          { answer: ok(HOUR, 'ETag: "a"') },
          { with: ['If-None-Match: "a"'], from: 'store', status: 304, cacheStatus: /^Postern; hit(?!.*fwd)/ },
        ],
        206: [
          { answer: ok(HOUR) },
          { with: ['Range: bytes=0-0'], from: 'store', status: 206, text: 'c', cacheStatus: /^Postern; hit(?!.*fwd)/ },
        ],
      },
    },
    {
      id: '9211-2.2-uri-miss',
      level: 'SHOULD',
      says: 'fwd=uri-miss: nothing is stored for the URI.',
      steps: [{ answer: ok(HOUR), cacheStatus: /^Postern; fwd=uri-miss(?!.*hit)/ }],
    },
    {
      id: '9211-2.2-vary-miss',
      level: 'SHOULD',
      says: 'fwd=vary-miss: something is, for other values of the fields that Vary names.',
      steps: [
        { with: ['Foo: 1'], answer: ok(HOUR, 'Vary: Foo') },
        { with: ['Foo: 2'], cacheStatus: /^Postern; fwd=vary-miss/ },
      ],
    },
    {
      id: '9211-2.2-stale',
      level: 'SHOULD',
      says: 'fwd=stale: what is stored has to be validated.',
      steps: [{ answer: ok(MINUTE) }, { after: 61, cacheStatus: /^Postern; fwd=stale/ }],
    },
    {
      id: '9211-2.2-request',
      level: 'SHOULD',
      says: 'fwd=request: the request itself wanted it forwarded.',
      variants: {
        'no-cache': [{ answer: ok(HOUR) }, { with: ['Cache-Control: no-cache'], cacheStatus: /^Postern; fwd=request/ }],
        'max-age': [
          { answer: ok(HOUR) },
          { after: 9, with: ['Cache-Control: max-age=5'], cacheStatus: /^Postern; fwd=request/ },
        ],
      },
    },
    {
      id: '9211-2.2-method',
      level: 'SHOULD',
      says: 'fwd=method: the method has to be forwarded.',
      steps: [{ answer: ok(HOUR) }, { send: 'POST /', body: 'x', cacheStatus: /^Postern; fwd=method/ }],
    },
    {
      id: '9211-2.2-bypass',
      level: 'SHOULD',
      says: 'fwd=bypass: the cache was told not to handle the request.',
      options: { bypass: () => true },
      steps: [{ answer: ok(HOUR), cacheStatus: /^Postern; fwd=bypass/ }],
    },
    {
      id: '9211-2.2-partial',
      level: 'SHOULD',
      says: 'fwd=partial: a part is stored, but not all that was asked for.',
      variants: {
        'all asked for': [
          { with: ['Range: bytes=0-1'], answer: PART },
          { answer: ok(HOUR), status: 200, cacheStatus: /^Postern; fwd=partial/ },
        ],
        'another range': [
          { with: ['Range: bytes=0-1'], answer: PART },
          {
            with: ['Range: bytes=1-2'],
            answer: { ...reply(206, HOUR, 'Content-Range: bytes 1-2/4', 'ETag: "a"'), content: 'bc' },
            cacheStatus: /^Postern; fwd=partial/,
          },
        ],
      },
    },
    {
      id: '9211-2.3-fwd-status',
      level: 'MAY',
      says: 'fwd-status is the status that the origin answered, where it is not that of the answer.',
      steps: [
        { answer: ok(MINUTE, 'ETag: "a"') },
        {
          after: 61,
          answer: reply(304, MINUTE, 'ETag: "a"'),
          from: 'validation',
          cacheStatus: /^Postern; fwd=stale; fwd-status=304/,
        },
      ],
    },
    {
      id: '9211-2.3-fwd-status-differs',
      level: 'MUST',
      says: 'It is there whenever the two differ, since its absence means that they do not.',
      variants: {
        'condition evaluated here': [
          { with: ['If-None-Match: "a"'], answer: ok(HOUR, 'ETag: "a"'), status: 304, cacheStatus: /; fwd-status=200/ },
        ],
        'condition evaluated here, after a validation': [
          { answer: ok(MINUTE, 'ETag: "a"') },
          {
            after: 61,
            with: ['If-None-Match: "b"'],
            answer: ok(MINUTE, 'ETag: "b"'),
            status: 304,
            cacheStatus: /^Postern; fwd=stale; fwd-status=200/,
          },
        ],
        'stale instead of a failure': [
          { answer: ok('Cache-Control: max-age=60, stale-if-error=60', 'ETag: "a"') },
          {
            after: 61,
            answer: reply(503),
            from: 'validation',
            status: 200,
            text: 'content 1',
            cacheStatus: /^Postern; fwd=stale; fwd-status=503/,
          },
        ],
        'a range of what was validated': [
          { answer: ok(MINUTE, 'ETag: "a"') },
          {
            after: 61,
            with: ['Range: bytes=0-0'],
            answer: reply(304, MINUTE, 'ETag: "a"'),
            from: 'validation',
            status: 206,
            text: 'c',
            cacheStatus: /^Postern; fwd=stale; fwd-status=304/,
          },
        ],
      },
    },
    {
      id: '9211-2.3-fwd-status-collapsed',
      level: 'MUST',
      says: 'Also for a request that was collapsed and whose own condition was evaluated.',
      async run({ origin, send }) {
        const { promise, resolve } = Promise.withResolvers<void>()
        origin.answerWith(async () => {
          await promise
          return ok(HOUR, 'ETag: "a"')
        })
        const first = send()
        await eventually(() => origin.requests.length === 1)
        const second = send('GET /', ['If-None-Match: "a"'])
        setTimeout(resolve, 100)
        await first
        const got = await second
        expect(got.status).toBe(304)
        expect(got.headers['cache-status']).toMatch(/; fwd-status=200.*; collapsed/)
      },
    },
    {
      id: '9211-2.4-ttl',
      level: 'MAY',
      says: 'ttl is the lifetime that is left, in seconds; negative when the answer is stale.',
      variants: {
        fresh: [{ answer: ok(MINUTE) }, { after: 18, from: 'store', cacheStatus: /; ttl=42(?:;|$)/ }],
        stored: [{ answer: ok(MINUTE, 'Age: 10'), cacheStatus: /; ttl=50(?:;|$)/ }],
        'stale instead of a failure': [
          { answer: ok('Cache-Control: max-age=60, stale-if-error=60', 'ETag: "a"') },
          {
            after: 70,
            answer: reply(503),
            from: 'validation',
            status: 200,
            text: 'content 1',
            cacheStatus: /; ttl=-10(?:;|$)/,
          },
        ],
        stale: [
          { answer: ok(MINUTE) },
          { after: 100, with: ['Cache-Control: max-stale'], from: 'store', cacheStatus: /; ttl=-40(?:;|$)/ },
        ],
      },
    },
    {
      id: '9211-2.5-stored',
      level: 'MAY',
      says: 'stored: the response has been stored. It is not there when it was not.',
      variants: {
        stored: [{ answer: ok(HOUR), cacheStatus: /; stored(?:;|$)/ }],
        'not stored': [{ answer: ok('Cache-Control: no-store'), cacheStatus: /^(?!.*; stored(?:;|$))/ }],
      },
    },
    {
      id: '9211-2.6-collapsed',
      level: 'MAY',
      says: 'collapsed: the request waited for an equal one and got its answer.',
      async run({ origin, send }) {
        const { promise, resolve } = Promise.withResolvers<void>()
        origin.answerWith(async () => {
          await promise
          return ok(HOUR)
        })
        const answers = Array.from({ length: 3 }, () => send())
        setTimeout(resolve, 100)
        const fields = (await Promise.all(answers)).map((each) => each.headers['cache-status'] ?? '')
        expect(fields.filter((field) => /; collapsed(?:;|$)/.test(field))).toHaveLength(2)
        expect(fields.filter((field) => /^Postern; fwd=/.test(field))).toHaveLength(3)
      },
    },
    {
      id: '9211-2.8-detail',
      level: 'MAY',
      says: 'detail says why a response was not stored.',
      variants: {
        'no-store': [{ answer: ok('Cache-Control: no-store'), cacheStatus: /; detail=no-store$/ }],
        private: [{ answer: ok('Cache-Control: private'), cacheStatus: /; detail=private$/ }],
        'Vary: *': [{ answer: ok(HOUR, 'Vary: *'), cacheStatus: /; detail=vary$/ }],
        'Set-Cookie': [{ answer: ok(HOUR, 'Set-Cookie: a=1'), cacheStatus: /; detail=set-cookie$/ }],
      },
    },
    {
      id: '9211-2-existing',
      level: 'SHOULD',
      says: 'What caches nearer to the origin have written stays in front of ours.',
      async run({ origin, send }) {
        origin.answerWith(ok(HOUR, 'Cache-Status: Inner; hit; ttl=5'))
        const got = await send()
        expect(got.headers['cache-status']).toMatch(/^Inner; hit; ttl=5, Postern; fwd=uri-miss/)
      },
    },
    {
      id: '9211-2-existing-stored',
      level: 'SHOULD',
      says: 'Also when the answer comes from the store, so that what happened to the stored response is seen.',
      async run({ origin, send }) {
        origin.answerWith(ok(HOUR, 'Cache-Status: Inner; fwd=uri-miss'))
        await send()
        const got = await send()
        expect(got.headers['cache-status']).toMatch(/^Inner; fwd=uri-miss, Postern; hit[^,]*$/)
      },
    },
    {
      id: '9211-2-own-answers',
      level: 'SHOULD',
      says: 'An answer that the gateway makes itself, out of nothing stored, has no member of ours.',
      variants: {
        'only-if-cached': [
          { with: ['Cache-Control: only-if-cached'], from: 'nobody', status: 504, fields: NONE_OF_OURS },
        ],
        'request refused by the proxy': [{ send: 'GET /a/../b', from: 'nobody', status: 400, fields: NONE_OF_OURS }],
        'origin gone': [{ answer: 'gone', status: 502, fields: NONE_OF_OURS }],
      },
    },
    {
      id: '9211-2-name',
      level: 'MUST',
      says: 'Our member begins with our name, as a token or a string; cacheStatus sets it.',
      options: { cacheStatus: 'shop edge' },
      async run({ origin, send }) {
        origin.answerWith(ok(HOUR))
        await send()
        const got = await send()
        expect(got.headers['cache-status']).toMatch(/^"shop edge"; hit/)
      },
    },
    {
      id: '9211-2-off',
      level: 'OWN',
      says: 'cacheStatus: false leaves the field alone.',
      options: { cacheStatus: false },
      steps: [
        { answer: ok(HOUR), fields: { 'cache-status': null } },
        { from: 'store', fields: { 'cache-status': null } },
      ],
    },
  ],
}
