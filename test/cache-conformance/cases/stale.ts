import { expect } from 'vitest'
import { type Answer, type CaseGroup, type OriginAnswer, ok, reply, type Step } from '../case.ts'

const MAX_STALE = 'Cache-Control: max-stale'
const FAILURES: Readonly<Record<string, OriginAnswer>> = {
  500: reply(500),
  502: reply(502),
  503: reply(503),
  504: reply(504),
  gone: 'gone',
}

/** Stored with these directives and a minute to live, asked for again after so many seconds. */
function aged(directives: string, second: Step): Step[] {
  return [{ answer: ok(`Cache-Control: max-age=60${directives}`, 'ETag: "a"') }, second]
}

const failing = (directives: string, after: number, step: Step): Readonly<Record<string, Step[]>> =>
  Object.fromEntries(
    Object.entries(FAILURES).map(([name, answer]) => [name, aged(directives, { ...step, after, answer })]),
  )

/** The failure itself reaches the client: what the origin said, or what the proxy says when it said nothing. */
const failed = [500, 502, 503, 504]

/** The stale response instead of a failure. The origin was asked, so that only the content tells. */
async function staleInstead(
  stack: Parameters<Extract<CaseGroup['cases'][number], { run: unknown }>['run']>[0],
  first: Answer,
  afterSeconds: number,
  failure: OriginAnswer,
  lines: readonly string[] = [],
): Promise<void> {
  stack.origin.answerWith(first)
  const { text } = await stack.send()
  stack.clock.pass(afterSeconds)
  stack.origin.answerWith(failure)
  const got = await stack.send('GET /', lines)
  expect({ status: got.status, text: got.text, age: got.headers.age }).toEqual({
    status: 200,
    text,
    age: String(afterSeconds),
  })
  expect(stack.origin.requests.length).toBeGreaterThan(1)
}

export const stale: CaseGroup = {
  title: 'Serving stale responses (RFC 9111 §4.2.4, RFC 5861)',
  file: 'stale',
  cases: [
    {
      id: '9111-4.2.4-not-unasked',
      level: 'MUST',
      says: 'A stale response is not served when neither client nor origin nor an option permits it, even when the origin fails.',
      variants: failing('', 61, { status: failed, text: /^(?!content 1$)/ }),
    },
    {
      id: '9111-4.2.4-prohibited',
      level: 'MUST',
      says: 'A stale response is not served against no-cache, must-revalidate, proxy-revalidate or s-maxage, whatever else would permit it.',
      options: { staleIfErrorMs: 3_600_000, staleWhileRevalidateMs: 3_600_000 },
      variants: Object.fromEntries(
        ['no-cache', 'must-revalidate', 'proxy-revalidate', 's-maxage=60'].flatMap((directive) => [
          [
            `${directive}, origin gone`,
            aged(`, ${directive}, stale-if-error=3600`, {
              after: 61,
              answer: 'gone',
              status: failed,
              text: /^(?!content 1$)/,
            }),
          ],
          [
            `${directive}, max-stale`,
            aged(`, ${directive}`, { after: 61, with: [MAX_STALE], answer: ok('Cache-Control: no-store') }),
          ],
          [
            `${directive}, stale-while-revalidate`,
            aged(`, ${directive}, stale-while-revalidate=3600`, { after: 61, answer: ok('Cache-Control: no-store') }),
          ],
        ]),
      ),
    },
    {
      id: '9111-5.2.2.2-error',
      level: 'MUST',
      says: 'When the origin of a stale must-revalidate response cannot be reached, the client gets an error.',
      steps: aged(', must-revalidate', { after: 61, answer: 'gone', status: failed, text: /^(?!content 1$)/ }),
    },
    {
      id: '9111-5.2.2.2-gateway-timeout',
      level: 'SHOULD',
      says: 'That error is 504, unless another one fits better: a connection that was refused or broken is the 502 of the proxy.',
      steps: aged(', must-revalidate', { after: 61, answer: 'gone', status: [502, 504], text: /^(?!content 1$)/ }),
    },
    {
      id: '9111-5.2.1.2-max-stale',
      level: 'MAY',
      says: 'A stale response is served to a client that accepts it with max-stale, up to the time it gives.',
      variants: {
        'any time': aged('', { after: 9_999, with: [MAX_STALE], from: 'store', fields: { age: '9999' } }),
        'within its time': aged('', { after: 100, with: ['Cache-Control: max-stale=40'], from: 'store' }),
        'beyond its time': aged('', {
          after: 101,
          with: ['Cache-Control: max-stale=40'],
          answer: ok('Cache-Control: no-store'),
        }),
        'malformed: none': aged('', {
          after: 61,
          with: ['Cache-Control: max-stale=x'],
          answer: ok('Cache-Control: no-store'),
        }),
      },
    },
    {
      id: '5861-3-while-revalidate',
      level: 'MAY',
      says: 'Within stale-while-revalidate a stale response is served at once, and its age told.',
      steps: aged(', stale-while-revalidate=30', {
        after: 89,
        answer: ok('Cache-Control: max-age=60', 'ETag: "b"'),
        from: 'background',
        fields: { age: '89', etag: '"a"' },
      }),
    },
    {
      id: '5861-3-revalidates',
      level: 'SHOULD',
      says: 'Meanwhile it is revalidated, and the next request gets what came of it.',
      variants: {
        'a new response': [
          ...aged(', stale-while-revalidate=30', {
            after: 70,
            answer: ok('Cache-Control: max-age=60', 'ETag: "b"'),
            from: 'background',
            seen: { 'if-none-match': '"a"' },
          }),
          { soon: true, from: 'store', text: 'content 2', fields: { etag: '"b"', age: '0' } },
        ],
        'not modified': [
          ...aged(', stale-while-revalidate=30', {
            after: 70,
            answer: reply(304, 'Cache-Control: max-age=60', 'ETag: "a"', 'X-A: new'),
            from: 'background',
          }),
          { soon: true, from: 'store', text: 'content 1', fields: { 'x-a': 'new', age: '0' } },
        ],
      },
    },
    {
      id: '5861-3-once',
      level: 'OWN',
      says: 'Many requests for the same stale response cause one revalidation.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok('Cache-Control: max-age=60, stale-while-revalidate=30', 'ETag: "a"'))
        await send()
        clock.pass(70)
        const { promise, resolve } = Promise.withResolvers<void>()
        origin.answerWith(async () => {
          await promise
          return reply(304, 'ETag: "a"')
        })
        const answers = await Promise.all(Array.from({ length: 8 }, () => send()))
        expect(answers.map((each) => each.text)).toEqual(Array(8).fill('content 1'))
        expect(origin.requests).toHaveLength(2)
        resolve()
      },
    },
    {
      id: '5861-3-ends',
      level: 'SHOULD',
      says: 'Beyond stale-while-revalidate it is not served without validation.',
      steps: aged(', stale-while-revalidate=30', { after: 91, answer: ok('Cache-Control: no-store') }),
    },
    {
      id: '5861-3-option',
      level: 'OWN',
      says: 'The option staleWhileRevalidateMs gives a time to responses that name none; one of their own comes first.',
      options: { staleWhileRevalidateMs: 30_000 },
      variants: {
        'names none': aged('', { after: 89, answer: ok('Cache-Control: no-store'), from: 'background' }),
        'names none, later': aged('', { after: 91, answer: ok('Cache-Control: no-store') }),
        'names zero': aged(', stale-while-revalidate=0', { after: 61, answer: ok('Cache-Control: no-store') }),
      },
    },
    {
      id: '5861-4-if-error',
      level: 'MAY',
      says: 'Within stale-if-error a stale response is served instead of a failure of the origin (500, 502, 503, 504, no answer).',
      async run(stack) {
        const first = ok('Cache-Control: max-age=60, stale-if-error=3600')
        let afterSeconds = 61
        for (const failure of Object.values(FAILURES)) {
          await staleInstead(stack, first, afterSeconds, failure)
          // Older than anything that could still be served.
          stack.clock.pass(9_999)
          afterSeconds += 1
        }
      },
    },
    {
      id: '5861-4-if-error-request',
      level: 'MAY',
      says: 'The same when the request has stale-if-error.',
      run: (stack) =>
        staleInstead(stack, ok('Cache-Control: max-age=60'), 90, reply(503), ['Cache-Control: stale-if-error=60']),
    },
    {
      id: '5861-4-if-error-option',
      level: 'OWN',
      says: 'The option staleIfErrorMs gives a time to responses that name none.',
      options: { staleIfErrorMs: 60_000 },
      run: (stack) => staleInstead(stack, ok('Cache-Control: max-age=60'), 119, 'gone'),
    },
    {
      id: '5861-4-other-errors',
      level: 'MUST',
      says: 'Other statuses are no failure of the origin and reach the client.',
      variants: Object.fromEntries(
        [400, 403, 404, 410, 429, 501].map((status) => [
          status,
          aged(', stale-if-error=3600', { after: 61, answer: reply(status) }),
        ]),
      ),
    },
    {
      id: '5861-4-ends',
      level: 'SHOULD',
      says: 'Beyond stale-if-error, of the response or of the request, it is not served.',
      variants: {
        response: aged(', stale-if-error=30', { after: 91, answer: reply(503) }),
        request: aged('', { after: 91, with: ['Cache-Control: stale-if-error=30'], answer: reply(503) }),
      },
    },
    {
      id: '9111-5.5-no-warning',
      level: 'OWN',
      says: 'No Warning is generated: the field is obsolete.',
      steps: aged('', { after: 100, with: [MAX_STALE], from: 'store', fields: { warning: null } }),
    },
  ],
}
