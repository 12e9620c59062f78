import { expect } from 'vitest'
import { type Answer, type CaseGroup, type FieldExpectations, ok, reply, type Step, withContent } from '../case.ts'
import { at } from '../dates.ts'

const MINUTE = 'Cache-Control: max-age=60'
const OLD = `Last-Modified: ${at(-86_400)}`

/** Stored, stale, validated with this 304: what the client gets then, and what it gets from the store behind it. */
function freshened(first: Answer, notModified: Answer, fields: FieldExpectations): Step[] {
  return [{ answer: first }, { after: 61, answer: notModified, from: 'validation', fields }, { from: 'store', fields }]
}

/** Stored with this validator, stale, validated by a 304 that names none. */
function unnamed(validator: string): Step[] {
  const again: Step = {
    answer: reply(304, 'Cache-Control: max-age=3600', 'X-A: 2'),
    from: 'validation',
    fields: { 'x-a': '1' },
  }
  return [{ answer: ok(MINUTE, validator, 'X-A: 1') }, { after: 61, ...again }, again]
}

/** Stored, stale; then this HEAD response; then what GET gets. */
function head(first: Answer, second: Answer, get: Step): Step[] {
  return [{ answer: first }, { after: 61, send: 'HEAD /', answer: second }, get]
}

export const freshening: CaseGroup = {
  title: 'Freshening stored responses (RFC 9111 §3.2, §4.3.4, §4.3.5)',
  file: 'freshening',
  cases: [
    {
      id: '9111-3.2-replaces',
      level: 'MUST',
      says: 'Fields of a 304 replace those of the stored response, in the answer to this request and in later ones.',
      variants: {
        'by entity tag': freshened(
          ok(MINUTE, 'ETag: "a"', 'X-A: 1', 'Content-Foo: 1', 'Content-Type: text/plain'),
          reply(304, MINUTE, 'ETag: "a"', 'X-A: 2', 'Content-Foo: 2', 'Content-Type: text/html'),
          { 'x-a': '2', 'content-foo': '2', 'content-type': 'text/html' },
        ),
        'by Last-Modified': freshened(
          ok(MINUTE, OLD, 'X-A: 1', 'Content-Location: /a'),
          reply(304, MINUTE, OLD, 'X-A: 2', 'Content-Location: /b'),
          { 'x-a': '2', 'content-location': '/b' },
        ),
        'Cache-Control': freshened(
          ok(MINUTE, 'ETag: "a"'),
          reply(304, 'Cache-Control: max-age=600, public', 'ETag: "a"'),
          { 'cache-control': 'max-age=600, public' },
        ),
        Expires: freshened(ok(`Expires: ${at(60)}`, 'ETag: "a"'), reply(304, `Expires: ${at(999)}`, 'ETag: "a"'), {
          expires: at(999),
        }),
        'several lines by one': freshened(
          ok(MINUTE, 'ETag: "a"', 'X-A: 1', 'X-A: 2'),
          reply(304, MINUTE, 'ETag: "a"', 'X-A: 3'),
          { 'x-a': '3' },
        ),
        'security fields': freshened(
          ok(MINUTE, 'ETag: "a"', "Content-Security-Policy: default-src 'self'", 'X-Frame-Options: deny'),
          reply(304, MINUTE, 'ETag: "a"', "Content-Security-Policy: default-src 'none'", 'X-Frame-Options: sameorigin'),
          { 'content-security-policy': "default-src 'none'", 'x-frame-options': 'sameorigin' },
        ),
        Date: freshened(ok(MINUTE, 'ETag: "a"'), reply(304, MINUTE, 'ETag: "a"'), { date: at(61) }),
      },
    },
    {
      id: '9111-3.2-adds',
      level: 'MUST',
      says: 'Fields that the stored response did not have are added.',
      steps: freshened(ok(MINUTE, 'ETag: "a"'), reply(304, MINUTE, 'ETag: "a"', 'X-New: 1'), { 'x-new': '1' }),
    },
    {
      id: '9111-3.2-retains',
      level: 'MUST',
      says: 'Fields that the 304 does not have stay as they are.',
      steps: freshened(ok(MINUTE, 'ETag: "a"', 'X-A: 1', OLD), reply(304, MINUTE, 'ETag: "a"'), {
        'x-a': '1',
        'last-modified': at(-86_400),
      }),
    },
    {
      id: '9111-3.2-content-length',
      level: 'MUST',
      says: 'Content-Length is not taken over.',
      steps: freshened(ok(MINUTE, 'ETag: "a"'), reply(304, MINUTE, 'ETag: "a"', 'Content-Length: 4000'), {
        'content-length': '9',
      }),
    },
    {
      id: '9111-3.2-stored-bytes',
      level: 'MAY',
      says: 'Nor are Content-Encoding and Content-Range, which tell how the stored bytes are to be read.',
      steps: freshened(
        ok(MINUTE, 'ETag: "a"', 'Content-Encoding: x-odd'),
        reply(304, MINUTE, 'ETag: "a"', 'Content-Encoding: x-even', 'Content-Range: bytes 0-1/2'),
        { 'content-encoding': 'x-odd', 'content-range': null },
      ),
    },
    {
      id: '9111-3.2-not-stored-fields',
      level: 'MUST',
      says: 'Fields that are not stored are not taken over from a 304 either.',
      steps: [
        { answer: ok(MINUTE, 'ETag: "a"') },
        {
          after: 61,
          answer: reply(304, MINUTE, 'ETag: "a"', 'Connection: x-hop', 'X-Hop: 1', 'Set-Cookie: a=1'),
          from: 'validation',
        },
        { from: 'store', fields: { 'x-hop': null, 'set-cookie': null } },
      ],
    },
    {
      id: '9111-4.3.4-fresh-again',
      level: 'MUST',
      says: 'A validated response is as fresh as the 304 says, its age counted from then.',
      steps: [
        { answer: ok(MINUTE, 'ETag: "a"') },
        { after: 61, answer: reply(304, 'Cache-Control: max-age=100', 'ETag: "a"'), from: 'validation' },
        { after: 99, from: 'store', fields: { age: '99' } },
        { after: 2, from: 'validation' },
      ],
    },
    {
      id: '9111-4.3.4-same-freshness',
      level: 'MUST',
      says: 'A 304 without freshness information keeps that of the stored response.',
      steps: [
        { answer: ok(MINUTE, 'ETag: "a"') },
        { after: 61, answer: reply(304, 'ETag: "a"'), from: 'validation' },
        { after: 59, from: 'store', fields: { age: '59' } },
        { after: 2, from: 'validation' },
      ],
    },
    {
      id: '9111-4.3.4-age',
      level: 'MUST',
      says: 'The Age of a 304, from a cache nearer to the origin, counts.',
      steps: [
        { answer: ok(MINUTE, 'ETag: "a"') },
        { after: 61, answer: reply(304, MINUTE, 'ETag: "a"', 'Age: 30'), from: 'validation' },
        { after: 10, from: 'store', fields: { age: '40' } },
        { after: 21, from: 'validation' },
      ],
    },
    {
      id: '9111-4.3.4-expires',
      level: 'MUST',
      says: 'An Expires that is past by the Date of the 304 leaves the response stale.',
      steps: [
        { answer: ok(`Expires: ${at(60)}`, 'ETag: "a"') },
        { after: 61, answer: reply(304, 'ETag: "a"'), from: 'validation' },
        { from: 'validation' },
      ],
    },
    {
      id: '9111-3.2-vary',
      level: 'MUST',
      says: 'A Vary of the 304 takes the place of the stored one.',
      steps: [
        { with: ['Foo: 1', 'Bar: 1'], answer: ok(MINUTE, 'ETag: "a"', 'Vary: Foo') },
        {
          after: 61,
          with: ['Foo: 1', 'Bar: 1'],
          answer: reply(304, 'Cache-Control: max-age=3600', 'ETag: "a"', 'Vary: Bar'),
          from: 'validation',
        },
        { with: ['Foo: 2', 'Bar: 1'], from: 'store' },
        { with: ['Foo: 1', 'Bar: 2'], answer: ok('ETag: "b"', 'Vary: Bar') },
      ],
    },
    {
      id: '9111-4.3.4-all-with-validator',
      level: 'MUST',
      says: 'All stored responses that could have been chosen and have the strong validator of the 304 are updated.',
      steps: [
        { with: ['Foo: 1', 'Bar: 2'], answer: withContent('same', ok(MINUTE, 'ETag: "a"', 'Vary: Foo')) },
        { with: ['Foo: 2', 'Bar: 1'], answer: withContent('same', ok(MINUTE, 'ETag: "a"', 'Vary: Bar')) },
        {
          after: 61,
          with: ['Foo: 1', 'Bar: 1'],
          answer: reply(304, 'Cache-Control: max-age=600', 'ETag: "a"', 'X-A: 2'),
          from: 'validation',
        },
        { with: ['Foo: 1', 'Bar: 9'], from: 'store', fields: { 'x-a': '2', vary: 'Foo' } },
        { with: ['Foo: 9', 'Bar: 1'], from: 'store', fields: { 'x-a': '2', vary: 'Bar' } },
      ],
    },
    {
      id: '9111-4.3.4-other-strong-validator',
      level: 'MUST',
      says: 'A 304 with a strong entity tag that no stored response has updates none; the client does not get the stored content.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok(MINUTE, 'ETag: "a"'))
        await send()
        clock.pass(61)
        origin.answerWith(({ headers }) =>
          headers['if-none-match'] === undefined ? ok(MINUTE, 'ETag: "b"') : reply(304, MINUTE, 'ETag: "other"'),
        )
        const got = await send()
        // The client has asked without a condition: 304 is no answer to it.
        expect([200, 502, 504]).toContain(got.status)
        expect(got.text).not.toBe('content 1')
        const next = await send()
        expect({ status: next.status, etag: next.headers.etag }).toEqual({ status: 200, etag: '"b"' })
      },
    },
    {
      id: '9111-4.3.4-weak',
      level: 'MUST',
      says: 'A 304 with a weak validator updates the stored response that has it.',
      variants: {
        'entity tag': freshened(ok(MINUTE, 'ETag: W/"a"', 'X-A: 1'), reply(304, MINUTE, 'ETag: W/"a"', 'X-A: 2'), {
          'x-a': '2',
        }),
        'Last-Modified': freshened(ok(MINUTE, OLD, 'X-A: 1'), reply(304, MINUTE, OLD, 'X-A: 2'), { 'x-a': '2' }),
      },
    },
    {
      id: '9111-4.3.4-no-validator',
      level: 'MUST',
      says: 'A 304 without any validator updates no stored response that has one; it is validated for this request only.',
      variants: {
        'stored with entity tag': unnamed('ETag: "a"'),
        'stored with Last-Modified': unnamed(OLD),
      },
    },
    {
      id: '9111-4.3.4-no-store',
      level: 'MUST',
      says: 'What a 304 forbids is not done any more: with no-store or private the response is used this once and forgotten.',
      variants: {
        'no-store': [
          { answer: ok(MINUTE, 'ETag: "a"') },
          { after: 61, answer: reply(304, 'Cache-Control: no-store', 'ETag: "a"'), from: 'validation' },
          { answer: ok('ETag: "a"'), status: 200, seen: { 'if-none-match': null } },
        ],
        private: [
          { answer: ok(MINUTE, 'ETag: "a"') },
          { after: 61, answer: reply(304, 'Cache-Control: private', 'ETag: "a"'), from: 'validation' },
          { answer: ok('ETag: "a"'), status: 200, seen: { 'if-none-match': null } },
        ],
      },
    },
    {
      id: '9111-4.3.5-updates',
      level: 'SHOULD',
      says: 'A 200 to HEAD with the same validators and length freshens the stored response to GET.',
      variants: {
        'entity tag': head(ok(MINUTE, 'ETag: "a"', 'X-A: 1'), withLength(ok(MINUTE, 'ETag: "a"', 'X-A: 2'), 9), {
          from: 'store',
          text: 'content 1',
          fields: { 'x-a': '2', age: '0' },
        }),
        'no validator at all': head(ok(MINUTE, 'X-A: 1'), withLength(ok(MINUTE, 'X-A: 2'), 9), {
          from: 'store',
          text: 'content 1',
          fields: { 'x-a': '2' },
        }),
      },
    },
    {
      id: '9111-4.3.5-fields',
      level: 'MUST',
      says: 'Then it has the fields of the HEAD response, and keeps those that this one lacks.',
      steps: head(
        ok(MINUTE, 'ETag: "a"', 'X-A: 1', 'X-B: 1'),
        withLength(ok('Cache-Control: max-age=600', 'ETag: "a"', 'X-A: 2'), 9),
        {
          after: 599,
          from: 'store',
          text: 'content 1',
          fields: { 'x-a': '2', 'x-b': '1', 'cache-control': 'max-age=600' },
        },
      ),
    },
    {
      id: '9111-4.3.5-invalidates',
      level: 'SHOULD',
      says: 'With another validator or length the stored response counts as stale, even if it was fresh.',
      variants: {
        'entity tag': changed('ETag: "b"', OLD, 9),
        'Last-Modified': changed('ETag: "a"', `Last-Modified: ${at(-60)}`, 9),
        length: changed('ETag: "a"', OLD, 10),
      },
    },
    {
      id: '9111-4.3.5-only-200',
      level: 'MUST',
      says: 'Another status than 200 to HEAD updates nothing.',
      variants: {
        404: head(ok(MINUTE, 'ETag: "a"', 'X-A: 1'), withLength(reply(404, MINUTE, 'X-A: 2'), 9), {
          answer: reply(304, 'ETag: "a"', MINUTE),
          from: 'validation',
          status: 200,
          text: 'content 1',
          fields: { 'x-a': '1' },
        }),
      },
    },
    {
      id: '9111-4.3.5-head-forwarded',
      level: 'MAY',
      says: 'HEAD for a stale response goes to the origin as HEAD.',
      async run({ clock, origin, send }) {
        origin.answerWith(ok(MINUTE, 'ETag: "a"'))
        await send()
        clock.pass(61)
        origin.answerWith(({ headers }) =>
          headers['if-none-match'] === undefined ? ok(MINUTE, 'ETag: "a"') : reply(304, MINUTE, 'ETag: "a"'),
        )
        const got = await send('HEAD /')
        expect(origin.requests.map((each) => each.method)).toEqual(['GET', 'HEAD'])
        expect({ status: got.status, text: got.text, etag: got.headers.etag }).toEqual({
          status: 200,
          text: '',
          etag: '"a"',
        })
      },
    },
  ],
}

/** As a response to HEAD that states the length of what GET would get. */
function withLength(answer: Answer, bytes: number): Answer {
  return withContent('x'.repeat(bytes), answer)
}

/** Fresh; a HEAD that is forced through brings these fields; GET has to validate. */
function changed(etag: string, modified: string, bytes: number): Step[] {
  return [
    { answer: ok('Cache-Control: max-age=3600', 'ETag: "a"', OLD) },
    {
      send: 'HEAD /',
      with: ['Cache-Control: no-cache'],
      answer: withLength(ok('Cache-Control: max-age=3600', etag, modified), bytes),
    },
    { answer: ok('Cache-Control: max-age=3600', 'ETag: "b"') },
  ]
}
