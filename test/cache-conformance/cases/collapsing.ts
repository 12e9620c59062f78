import { expect } from 'vitest'
import { type CaseGroup, ok, reply } from '../case.ts'

const FRESH = 'Cache-Control: max-age=3600'

/** A promise that the origin waits for, and what fulfils it once the requests have had time to come. */
function gate(): { readonly opened: Promise<void>; readonly openSoon: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, openSoon: () => setTimeout(resolve, 100) }
}

export const collapsing: CaseGroup = {
  title: 'Collapsing requests (RFC 9111 §4)',
  file: 'collapsing',
  cases: [
    {
      id: '9111-4-collapse',
      level: 'MAY',
      says: 'Equal requests that arrive while the first is on its way are answered by its response.',
      async run({ origin, send }) {
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          return ok(FRESH)
        })
        const answers = Array.from({ length: 10 }, () => send())
        openSoon()
        expect((await Promise.all(answers)).map((each) => each.text)).toEqual(Array(10).fill('content 1'))
        expect(origin.requests).toHaveLength(1)
      },
    },
    {
      id: '9111-4-collapse-unusable',
      level: 'MUST',
      says: 'Requests that were collapsed onto a response that may not be reused are sent on, each to an answer of its own.',
      async run({ origin, send }) {
        for (const line of ['Cache-Control: private', 'Set-Cookie: sid=1', 'Cache-Control: no-store', 'Vary: *']) {
          const before = origin.requests.length
          const { opened, openSoon } = gate()
          origin.answerWith(async () => {
            await opened
            return ok(...(line.startsWith('Cache-Control') ? [] : [FRESH]), line)
          })
          const answers = Array.from({ length: 5 }, () => send(`GET /${before}`))
          openSoon()
          const texts = (await Promise.all(answers)).map((each) => each.text)
          expect(new Set(texts).size, line).toBe(5)
          expect(origin.requests.length - before, line).toBe(5)
        }
      },
    },
    {
      id: '9111-4-collapse-vary',
      level: 'MUST',
      says: 'So are those for which its Vary says that it is not theirs.',
      async run({ origin, send }) {
        const { opened, openSoon } = gate()
        origin.answerWith(async ({ headers }) => {
          await opened
          return { ...ok(FRESH, 'Vary: Foo'), content: `for ${headers.foo}` }
        })
        const answers = ['1', '2', '1', '3'].map((value) => send('GET /', [`Foo: ${value}`]))
        openSoon()
        const texts = (await Promise.all(answers)).map((each) => each.text)
        expect(texts).toEqual(['for 1', 'for 2', 'for 1', 'for 3'])
        expect(origin.requests.length).toBeLessThanOrEqual(4)
      },
    },
    {
      id: '9111-4-collapse-cut',
      level: 'MUST',
      says: 'When the response that they wait for breaks off, none of them takes what came of it for the whole.',
      async run({ origin, send }) {
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          const raw = `HTTP/1.1 200 OK\r\n${FRESH}\r\nContent-Length: 10\r\n\r\nabcde`
          return { status: 200, lines: [], content: 'abcde', raw }
        })
        const answers = Array.from({ length: 3 }, () => send())
        openSoon()
        expect((await Promise.all(answers)).map((each) => each.complete)).toEqual([false, false, false])
      },
    },
    {
      id: '9111-4-collapse-failure',
      level: 'OWN',
      says: 'When the origin fails the request that they wait for, all of them get the failure, and it is not asked once more for each.',
      async run({ origin, send }) {
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          return 'gone' as const
        })
        const answers = Array.from({ length: 10 }, () => send())
        openSoon()
        const statuses = (await Promise.all(answers)).map((each) => each.status)
        expect(statuses).toEqual(Array(10).fill(502))
        expect(origin.requests.length).toBeLessThanOrEqual(3)
      },
    },
    {
      id: '9111-4-collapse-stale-if-error',
      level: 'OWN',
      says: 'Where a stale response may serve then, all of them get it.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok('Cache-Control: max-age=60, stale-if-error=600', 'ETag: "a"'))
        await send()
        clock.pass(61)
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          return reply(503)
        })
        const answers = Array.from({ length: 5 }, () => send())
        openSoon()
        const got = (await Promise.all(answers)).map((each) => `${each.status} ${each.text}`)
        expect(got).toEqual(Array(5).fill('200 content 1'))
      },
    },
    {
      id: '9111-4-collapse-conditions',
      level: 'MUST',
      says: 'Each of them has its own condition evaluated, on the response that they share.',
      async run({ origin, send }) {
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          return ok(FRESH, 'ETag: "a"')
        })
        const answers = [['If-None-Match: "a"'], [], ['If-None-Match: "b"'], ['If-None-Match: W/"a"']].map((lines) =>
          send('GET /', lines),
        )
        openSoon()
        const got = (await Promise.all(answers)).map((each) => `${each.status} ${each.text}`)
        expect(got).toEqual(['304 ', '200 content 1', '200 content 1', '304 '])
      },
    },
    {
      id: '9111-4-collapse-validation-conditions',
      level: 'MUST',
      says: 'The same when they share a validation.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok('Cache-Control: max-age=60', 'ETag: "a"'))
        await send()
        clock.pass(61)
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          return reply(304, 'Cache-Control: max-age=60', 'ETag: "a"')
        })
        const answers = [[], ['If-None-Match: "a"'], ['If-None-Match: "b"']].map((lines) => send('GET /', lines))
        openSoon()
        const got = (await Promise.all(answers)).map((each) => `${each.status} ${each.text}`)
        expect(got).toEqual(['200 content 1', '304 ', '200 content 1'])
      },
    },
    {
      id: '9111-4-collapse-off',
      level: 'OWN',
      says: 'With coalescing: false each request goes to the origin.',
      options: { coalescing: false },
      async run({ origin, send }) {
        const { opened, openSoon } = gate()
        origin.answerWith(async () => {
          await opened
          return ok(FRESH)
        })
        const answers = Array.from({ length: 3 }, () => send())
        openSoon()
        await Promise.all(answers)
        expect(origin.requests).toHaveLength(3)
      },
    },
  ],
}
