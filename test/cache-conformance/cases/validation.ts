import { expect } from 'vitest'
import { type Answer, type CaseGroup, ok, reply, type Step } from '../case.ts'
import { at } from '../dates.ts'

const MINUTE = 'Cache-Control: max-age=60'
const OLD = `Last-Modified: ${at(-86_400)}`

/** Stored, stale, and asked for again. */
function staleThen(first: Answer, second: Step): Step[] {
  return [{ answer: first }, { after: 61, ...second }]
}

export const validation: CaseGroup = {
  title: 'Validation (RFC 9111 §4.3.1 to §4.3.3)',
  file: 'validation',
  cases: [
    {
      id: '9111-4.3.1-entity-tag',
      level: 'MUST',
      says: 'A validation request carries the entity tag of the stored response, strong or weak, as it was received.',
      variants: {
        strong: staleThen(ok(MINUTE, 'ETag: "a"'), {
          answer: reply(304, MINUTE, 'ETag: "a"'),
          from: 'validation',
          seen: { 'if-none-match': '"a"' },
        }),
        weak: staleThen(ok(MINUTE, 'ETag: W/"a"'), {
          answer: reply(304, MINUTE, 'ETag: W/"a"'),
          from: 'validation',
          seen: { 'if-none-match': 'W/"a"' },
        }),
      },
    },
    {
      id: '9111-4.3.1-last-modified',
      level: 'SHOULD',
      says: 'It carries Last-Modified as If-Modified-Since, also beside an entity tag.',
      variants: {
        alone: staleThen(ok(MINUTE, OLD), {
          answer: reply(304, MINUTE, OLD),
          from: 'validation',
          seen: { 'if-modified-since': at(-86_400), 'if-none-match': null },
        }),
        'with an entity tag': staleThen(ok(MINUTE, OLD, 'ETag: "a"'), {
          answer: reply(304, MINUTE, 'ETag: "a"'),
          from: 'validation',
          seen: { 'if-modified-since': at(-86_400), 'if-none-match': '"a"' },
        }),
      },
    },
    {
      id: '9111-4.3.1-no-validator',
      level: 'MUST',
      says: 'Without a validator the request goes on without a condition.',
      steps: staleThen(ok(MINUTE), {
        answer: ok(MINUTE),
        seen: { 'if-none-match': null, 'if-modified-since': null },
      }),
    },
    {
      id: '9111-4.3.1-rest-of-request',
      level: 'MUST',
      says: 'The rest of the request, the fields that Vary names among it, is that of the client.',
      steps: [
        { with: ['Abc: 123'], answer: ok(MINUTE, 'ETag: "a"', 'Vary: Abc') },
        {
          after: 61,
          with: ['Abc: 123', 'Other: 4'],
          answer: reply(304, MINUTE, 'ETag: "a"'),
          from: 'validation',
          seen: { abc: '123', other: '4', 'if-none-match': '"a"' },
        },
      ],
    },
    {
      id: '9111-4.3.1-background-request',
      level: 'MUST',
      says: 'A validation that no request waits for has the method, the URI and the fields that Vary names.',
      steps: [
        {
          send: 'GET /a?b=c',
          with: ['Abc: 123'],
          answer: ok('Cache-Control: max-age=60, stale-while-revalidate=60', 'ETag: "a"', 'Vary: Abc'),
        },
        {
          send: 'GET /a?b=c',
          after: 61,
          with: ['Abc: 123'],
          answer: reply(304, MINUTE, 'ETag: "a"'),
          from: 'background',
          seen: { abc: '123', 'if-none-match': '"a"' },
        },
      ],
    },
    {
      id: '9111-4.3.2-union',
      level: 'MUST',
      says: 'When a 304 names a stored entity tag that the client did not list, the client gets 200 with the stored content.',
      steps: staleThen(ok(MINUTE, 'ETag: "a"'), {
        with: ['If-None-Match: "client"'],
        answer: reply(304, MINUTE, 'ETag: "a"'),
        from: 'validation',
        status: 200,
        seen: { 'if-none-match': /"a"/ },
      }),
    },
    {
      id: '9111-4.3.2-client-has-it',
      level: 'SHOULD',
      says: 'When the stored response was validated and is what the client has, the client gets 304.',
      variants: {
        'entity tag': staleThen(ok(MINUTE, 'ETag: "a"'), {
          with: ['If-None-Match: "a"'],
          answer: reply(304, MINUTE, 'ETag: "a"'),
          from: 'validation',
          status: 304,
        }),
        'Last-Modified': staleThen(ok(MINUTE, OLD), {
          with: [`If-Modified-Since: ${at(-86_400)}`],
          answer: reply(304, MINUTE, OLD),
          from: 'validation',
          status: 304,
        }),
      },
    },
    {
      id: '9111-4.3.2-client-has-newest',
      level: 'SHOULD',
      says: 'When the validation brings a new response, and that is what the client has, the client gets 304 and the store the new one.',
      steps: [
        ...staleThen(ok(MINUTE, 'ETag: "a"'), {
          with: ['If-None-Match: "b"'],
          answer: ok(MINUTE, 'ETag: "b"'),
          status: 304,
          fields: { etag: '"b"' },
        }),
        { from: 'store', status: 200, text: 'content 2' },
      ],
    },
    {
      id: '9111-4.1-other-variant',
      level: 'MAY',
      says: 'When no stored variant matches, the origin may say by a 304 that one of them is right for this request, too.',
      steps: [
        { with: ['Foo: 1'], answer: ok('Cache-Control: max-age=3600', 'ETag: "a"', 'Vary: Foo') },
        {
          with: ['Foo: 2'],
          answer: reply(304, 'Cache-Control: max-age=3600', 'ETag: "a"', 'Vary: Foo'),
          from: 'validation',
          seen: { 'if-none-match': '"a"' },
        },
        { with: ['Foo: 2'], from: 'store' },
        { with: ['Foo: 1'], from: 'store' },
      ],
    },
    {
      id: '9111-4.3.3-full-response',
      level: 'MUST',
      says: 'A full response to a validation request answers the client.',
      steps: staleThen(ok(MINUTE, 'ETag: "a"'), { answer: ok('ETag: "b"', 'Cache-Control: no-store') }),
    },
    {
      id: '9111-4.3.3-full-response-stored',
      level: 'MAY',
      says: 'It is stored in place of the one that it did not confirm.',
      steps: [
        ...staleThen(ok(MINUTE, 'ETag: "a"'), { answer: ok(MINUTE, 'ETag: "b"') }),
        { from: 'store', text: 'content 2', fields: { etag: '"b"' } },
      ],
    },
    {
      id: '9111-4.3.3-not-found',
      level: 'MUST',
      says: 'So does a 404 or 410.',
      variants: {
        404: staleThen(ok(MINUTE, 'ETag: "a"'), { answer: reply(404) }),
        410: staleThen(ok(MINUTE, 'ETag: "a"'), { answer: reply(410) }),
      },
    },
    {
      id: '9111-4.3.3-server-error',
      level: 'MAY',
      says: 'A 5xx to a validation request is passed on, and the stored response kept for the next validation.',
      steps: [
        ...staleThen(ok(MINUTE, 'ETag: "a"'), { answer: reply(503) }),
        { answer: reply(304, MINUTE, 'ETag: "a"'), from: 'validation', status: 200, text: 'content 1' },
      ],
    },
    {
      id: '9111-5.2.2.4-no-cache',
      level: 'MUST',
      says: 'A no-cache response is validated for each request, even while it is fresh.',
      variants: {
        alone: each('Cache-Control: no-cache'),
        'with max-age': each('Cache-Control: max-age=3600, no-cache'),
        'with Expires': each('Cache-Control: no-cache', `Expires: ${at(3600)}`),
        'other case': each('Cache-Control: max-age=3600, No-CaChE'),
        'second line': each('Cache-Control: max-age=3600', 'Cache-Control: no-cache'),
        'empty argument': each('Cache-Control: max-age=3600, no-cache=""'),
      },
    },
    {
      id: '9111-4.3-no-cache-without-validator',
      level: 'MUST',
      says: 'Without a validator it is asked for anew.',
      steps: [{ answer: ok('Cache-Control: no-cache, max-age=3600') }, {}],
    },
    {
      id: '9111-4.3-collapse',
      level: 'MAY',
      says: 'Equal requests for one stale response share its validation.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok(MINUTE, 'ETag: "a"'))
        await send()
        clock.pass(61)
        const { promise, resolve } = Promise.withResolvers<void>()
        origin.answerWith(async () => {
          await promise
          return reply(304, MINUTE, 'ETag: "a"')
        })
        const answers = Array.from({ length: 6 }, () => send())
        setTimeout(resolve, 100)
        expect((await Promise.all(answers)).map((got) => `${got.status} ${got.text}`)).toEqual(
          Array(6).fill('200 content 1'),
        )
        expect(origin.requests).toHaveLength(2)
      },
    },
  ],
}

/** Validated at once, and again. */
function each(...lines: string[]): Step[] {
  const notModified: Step = {
    answer: reply(304, ...lines, 'ETag: "a"'),
    from: 'validation',
    seen: { 'if-none-match': '"a"' },
  }
  return [{ answer: ok(...lines, 'ETag: "a"') }, notModified, notModified]
}
