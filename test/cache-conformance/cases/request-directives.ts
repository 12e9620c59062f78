import { expect } from 'vitest'
import { type CaseGroup, ok, reply, type Step } from '../case.ts'
import { at } from '../dates.ts'

const HOUR = 'Cache-Control: max-age=3600'

/** Stored with these fields; then a request with these directives that the stored response is not good enough for. */
function refused(lines: readonly string[], directives: string, after = 0): Step[] {
  return [{ answer: ok(...lines) }, { after, with: [`Cache-Control: ${directives}`] }]
}

/** The same, but it is good enough. */
function served(lines: readonly string[], directives: string, after = 0): Step[] {
  return [{ answer: ok(...lines) }, { after, with: [`Cache-Control: ${directives}`], from: 'store' }]
}

export const requestDirectives: CaseGroup = {
  title: 'Request directives (RFC 9111 §5.2.1, §5.4)',
  file: 'request-directives',
  cases: [
    {
      id: '9111-5.2.1.1-max-age',
      level: 'MAY',
      says: 'max-age: the client does not get a response that is older.',
      variants: {
        zero: refused([HOUR], 'max-age=0', 1),
        'older by time': refused([HOUR], 'max-age=10', 11),
        'older by Age': refused([HOUR, 'Age: 1800'], 'max-age=600'),
        'young enough': served([HOUR], 'max-age=10', 10),
        'malformed: zero': refused([HOUR], 'max-age=x', 1),
      },
    },
    {
      id: '9111-5.2.1.3-min-fresh',
      level: 'MAY',
      says: 'min-fresh: it gets none that will not stay fresh for so long.',
      variants: {
        'not long enough': refused(['Cache-Control: max-age=1500'], 'min-fresh=2000'),
        'not long enough by Age': refused(['Cache-Control: max-age=1500', 'Age: 1000'], 'min-fresh=1000'),
        'long enough': served(['Cache-Control: max-age=1500'], 'min-fresh=1000', 400),
      },
    },
    {
      id: '9111-5.2.1.4-no-cache',
      level: 'MAY',
      says: 'no-cache: it gets none that was not validated for it.',
      variants: {
        'no validator': refused([HOUR], 'no-cache'),
        'other case': refused([HOUR], 'No-Cache'),
        'entity tag': [
          { answer: ok(HOUR, 'ETag: "a"') },
          {
            with: ['Cache-Control: no-cache'],
            answer: reply(304, HOUR, 'ETag: "a"'),
            from: 'validation',
            seen: { 'if-none-match': '"a"' },
          },
        ],
        'Last-Modified': [
          { answer: ok(HOUR, `Last-Modified: ${at(-99)}`) },
          {
            with: ['Cache-Control: no-cache'],
            answer: reply(304, HOUR, `Last-Modified: ${at(-99)}`),
            from: 'validation',
            seen: { 'if-modified-since': at(-99) },
          },
        ],
      },
    },
    {
      id: '9111-5.2.1.4-no-cache-renews',
      level: 'MAY',
      says: 'What it brings is stored for the others.',
      steps: [{ answer: ok(HOUR) }, { with: ['Cache-Control: no-cache'] }, { from: 'store', text: 'content 2' }],
    },
    {
      id: '9111-5.2.1.5-no-store',
      level: 'MUST',
      says: 'no-store: the response to this request is not stored.',
      variants: {
        plain: [{ with: ['Cache-Control: no-store'], answer: ok(HOUR) }, {}],
        'public response': [
          { with: ['Cache-Control: no-store'], answer: ok('Cache-Control: public, max-age=3600') },
          {},
        ],
      },
    },
    {
      id: '9111-5.2.1.5-no-store-stored',
      level: 'MAY',
      says: 'A response that is stored already serves such a request, too.',
      steps: served([HOUR], 'no-store'),
    },
    {
      id: '9111-5.2.1.6-no-transform',
      level: 'MUST',
      says: 'no-transform, of a request or a response: the content goes through as it is, into the store and out of it.',
      variants: {
        response: [
          { answer: ok('Cache-Control: max-age=60, no-transform', 'Content-Encoding: x-odd') },
          { from: 'store', fields: { 'content-encoding': 'x-odd', 'cache-control': 'max-age=60, no-transform' } },
        ],
        request: [
          { with: ['Cache-Control: no-transform'], answer: ok(HOUR), seen: { 'cache-control': 'no-transform' } },
          { with: ['Cache-Control: no-transform'], from: 'store' },
        ],
      },
    },
    {
      id: '9111-5.2.1.7-only-if-cached',
      level: 'SHOULD',
      says: 'only-if-cached: a client that cannot be served from the store gets 504, and the origin is not asked.',
      async run({ origin, send }) {
        const got = await send('GET /', ['Cache-Control: only-if-cached'])
        expect(got.status).toBe(504)
        expect(origin.requests).toHaveLength(0)
      },
    },
    {
      id: '9111-5.2.1.7-only-if-cached-stored',
      level: 'MAY',
      says: 'One that can, is.',
      variants: {
        fresh: served([HOUR], 'only-if-cached'),
        'stale, and content with it': served([HOUR], 'only-if-cached, max-stale', 4_000),
      },
    },
    {
      id: '9111-5.2.1.7-only-if-cached-stale',
      level: 'SHOULD',
      says: 'Not with a response that would have to be validated first.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok(HOUR, 'ETag: "a"'))
        await send()
        clock.pass(3_601)
        const got = await send('GET /', ['Cache-Control: only-if-cached'])
        expect(got.status).toBe(504)
        expect(origin.requests).toHaveLength(1)
      },
    },
    {
      id: '9111-5.2.1-option',
      level: 'MAY',
      says: 'With ignoreClientCacheControl clients cannot force their way to the origin.',
      options: { ignoreClientCacheControl: true },
      variants: Object.fromEntries(
        ['no-cache', 'max-age=0', 'min-fresh=9999', 'no-store'].map((each) => [each, served([HOUR], each, 1)]),
      ),
    },
    {
      id: '9111-5.4-pragma',
      level: 'MAY',
      says: 'Pragma: no-cache without Cache-Control counts as no-cache.',
      variants: {
        alone: [{ answer: ok(HOUR) }, { with: ['Pragma: no-cache'] }],
        'beside Cache-Control': [
          { answer: ok(HOUR) },
          { with: ['Pragma: no-cache', 'Cache-Control: max-age=100'], from: 'store' },
        ],
        'other words': [{ answer: ok(HOUR) }, { with: ['Pragma: unknown'], from: 'store' }],
      },
    },
    {
      id: '9111-5.4-pragma-response',
      level: 'MAY',
      says: 'Pragma in a response means nothing.',
      steps: [{ answer: ok(HOUR, 'Pragma: no-cache') }, { from: 'store', fields: { pragma: 'no-cache' } }],
    },
    {
      id: '9111-5.2-passed-on',
      level: 'MUST',
      says: 'Directives are passed on both ways, whether or not they mean anything here.',
      variants: {
        request: [
          {
            with: ['Cache-Control: max-age=5, odd="a, b"', 'Cache-Control: min-fresh=1'],
            answer: ok(HOUR),
            seen: { 'cache-control': /^max-age=5, odd="a, b", ?min-fresh=1$/ },
          },
        ],
        response: [
          {
            answer: ok('Cache-Control: max-age=60, odd="a, b"', 'Cache-Control: must-revalidate'),
            fields: { 'cache-control': 'max-age=60, odd="a, b", must-revalidate' },
          },
          { from: 'store', fields: { 'cache-control': 'max-age=60, odd="a, b", must-revalidate' } },
        ],
      },
    },
  ],
}
