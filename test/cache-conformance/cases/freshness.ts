import { expect } from 'vitest'
import { type CaseGroup, ok, type Step } from '../case.ts'
import { asctime, at, rfc850 } from '../dates.ts'

/** Reused after `reusedS`, not any more after `goneS`, both counted from the first request. */
function lives(lines: readonly string[], reusedS: number, goneS: number): Step[] {
  return [
    { answer: ok(...lines) },
    { after: reusedS, from: 'store' },
    { after: goneS - reusedS, answer: ok('Cache-Control: no-store') },
  ]
}

/** Not reused, not even at once. */
const dead = (...lines: string[]): Step[] => [{ answer: ok(...lines) }, {}]

export const freshness: CaseGroup = {
  title: 'Freshness and age (RFC 9111 §4.2)',
  file: 'freshness',
  cases: [
    {
      id: '9111-4-fresh',
      level: 'MUST',
      says: 'A response is reused without validation only while its age is below its freshness lifetime.',
      variants: {
        'a second before': lives(['Cache-Control: max-age=60'], 59, 60),
        'at its end': [{ answer: ok('Cache-Control: max-age=60') }, { after: 60 }],
      },
    },
    {
      id: '9111-4.2.1-s-maxage',
      level: 'MUST',
      says: 'In a shared cache s-maxage decides the lifetime, before max-age and Expires, be it longer or shorter.',
      variants: {
        alone: lives(['Cache-Control: s-maxage=60'], 59, 61),
        'shorter than max-age': lives(['Cache-Control: max-age=3600, s-maxage=60'], 59, 61),
        'shorter, in front': lives(['Cache-Control: s-maxage=60, max-age=3600'], 59, 61),
        'shorter, on its own line': lives(['Cache-Control: max-age=3600', 'Cache-Control: s-maxage=60'], 59, 61),
        'longer than max-age': lives(['Cache-Control: max-age=1, s-maxage=60'], 59, 61),
        'longer than Expires': lives(['Cache-Control: s-maxage=60', `Expires: ${at(1)}`], 59, 61),
      },
    },
    {
      id: '9111-4.2.1-max-age',
      level: 'MUST',
      says: 'Without s-maxage, max-age decides, before Expires.',
      variants: {
        alone: lives(['Cache-Control: max-age=60'], 59, 61),
        'Expires earlier': lives(['Cache-Control: max-age=60', `Expires: ${at(-100)}`], 59, 61),
        'Expires later': lives(['Cache-Control: max-age=60', `Expires: ${at(3600)}`], 59, 61),
        'Expires invalid': lives(['Cache-Control: max-age=60', 'Expires: 0'], 59, 61),
        'zero with Expires later': dead('Cache-Control: max-age=0', `Expires: ${at(3600)}`),
      },
    },
    {
      id: '9111-4.2.1-expires',
      level: 'MUST',
      says: 'Without either, the lifetime is Expires less Date, whatever clock the origin goes by.',
      variants: {
        'same clock': lives([`Expires: ${at(60)}`], 59, 61),
        'no Date': [
          { answer: { ...ok(`Expires: ${at(60)}`), undated: true } },
          { after: 59, from: 'store' },
          { after: 2, answer: ok() },
        ],
        'origin fast': lives([`Date: ${at(7200)}`, `Expires: ${at(7260)}`], 59, 61),
        past: dead(`Expires: ${at(-1)}`),
        'equal to Date': dead(`Expires: ${at(0)}`),
      },
    },
    {
      id: '9111-4.2.1-twice',
      level: 'MAY',
      says: 'With a directive or Expires given twice with different values, the response counts as stale.',
      variants: {
        'max-age, longer first': dead('Cache-Control: max-age=3600, max-age=1'),
        'max-age, shorter first': dead('Cache-Control: max-age=1, max-age=3600'),
        'max-age on two lines': dead('Cache-Control: max-age=3600', 'Cache-Control: max-age=1800'),
        's-maxage': dead('Cache-Control: s-maxage=3600, s-maxage=1800'),
        Expires: dead(`Expires: ${at(3600)}`, `Expires: ${at(1800)}`),
      },
    },
    {
      id: '9111-4.2.1-conflict',
      level: 'SHOULD',
      says: 'Where directives conflict the most restrictive one is honoured.',
      variants: {
        'no-cache and max-age': dead('Cache-Control: max-age=3600, no-cache'),
        'no-store and public': dead('Cache-Control: public, max-age=3600, no-store'),
        'private and public': dead('Cache-Control: public, max-age=3600, private'),
      },
    },
    {
      id: '9111-4.2.1-invalid',
      level: 'SHOULD',
      says: 'A response with invalid freshness information is stale.',
      variants: {
        'leading letter': dead('Cache-Control: max-age=a3600'),
        'trailing letter': dead('Cache-Control: max-age=3600a'),
        negative: dead('Cache-Control: max-age=-3600'),
        decimal: dead('Cache-Control: max-age=3600.5'),
        'single quotes': dead("Cache-Control: max-age='3600'"),
        'no argument': dead('Cache-Control: max-age'),
        'empty argument': dead('Cache-Control: max-age='),
        'space before the sign': dead('Cache-Control: max-age =3600'),
        'space behind the sign': dead('Cache-Control: max-age= 3600'),
        's-maxage, with a good max-age': dead('Cache-Control: max-age=3600, s-maxage=x'),
        'with Expires': dead('Cache-Control: max-age=x', `Expires: ${at(3600)}`),
      },
    },
    {
      id: '9111-1.2.2-overflow',
      level: 'MUST',
      says: 'More seconds than a cache can count are 2147483648 or its greatest number, never fewer.',
      variants: {
        '2^31': lives(['Cache-Control: max-age=2147483648'], 2_147_483_640, 2_147_483_650),
        'eleven nines': lives(['Cache-Control: max-age=99999999999'], 2_147_483_640, 2_147_483_650),
        'forty nines': lives([`Cache-Control: max-age=${'9'.repeat(40)}`], 2_147_483_640, 2_147_483_650),
      },
    },
    {
      id: '9111-4.2-date-forms',
      level: 'MUST',
      says: 'All three forms of an HTTP date are understood.',
      variants: {
        fixdate: lives([`Expires: ${at(60)}`], 59, 61),
        'RFC 850': lives([`Expires: ${rfc850(60)}`], 59, 61),
        asctime: lives([`Expires: ${asctime(60)}`], 59, 61),
        'Date in RFC 850': lives([`Date: ${rfc850(-30)}`, 'Cache-Control: max-age=60'], 29, 31),
      },
    },
    {
      id: '9110-5.6.7-two-digit-year',
      level: 'MUST',
      says: 'A two-digit year that would be more than 50 years ahead is the last one with these digits.',
      variants: {
        'fifty years ahead': [
          { answer: ok('Expires: Thursday, 14-Jan-76 12:00:00 GMT') },
          { after: 100, from: 'store' },
        ],
        'more than fifty': dead('Expires: Sunday, 14-Aug-77 12:00:00 GMT'),
      },
    },
    {
      id: '9111-4.2-date-case',
      level: 'SHOULD',
      says: 'Dates are matched whatever the case of their letters.',
      variants: {
        weekday: lives([`Expires: ${at(60).replace('Thu', 'THU')}`], 59, 61),
        month: lives([`Expires: ${at(60).replace('Jan', 'JAN')}`], 59, 61),
        zone: lives([`Expires: ${at(60).replace('GMT', 'gMT')}`], 59, 61),
      },
    },
    {
      id: '9111-4.2-date-zone',
      level: 'SHOULD',
      says: 'A date with another zone than GMT is invalid.',
      variants: {
        UTC: dead(`Expires: ${at(3600).replace('GMT', 'UTC')}`),
        EST: dead(`Expires: ${at(3600).replace('GMT', 'EST')}`),
        offset: dead(`Expires: ${at(3600).replace('GMT', '+0000')}`),
        none: dead(`Expires: ${at(3600).replace(' GMT', '')}`),
      },
    },
    {
      id: '9111-4.2-local-zone',
      level: 'MUST',
      says: "The machine's time zone has no influence.",
      async run({ clock, origin, send }) {
        const zone = process.env.TZ
        process.env.TZ = 'America/New_York'
        try {
          origin.answerWith(ok(`Expires: ${asctime(60)}`))
          await send()
          clock.pass(59)
          await send()
          expect(origin.requests).toHaveLength(1)
          clock.pass(2)
          await send()
          expect(origin.requests).toHaveLength(2)
        } finally {
          if (zone === undefined) delete process.env.TZ
          else process.env.TZ = zone
        }
      },
    },
    {
      id: '9111-4.2.3-age',
      level: 'MUST',
      says: 'The Age that a response came with counts against its lifetime, and goes on counting.',
      variants: {
        older: dead('Cache-Control: max-age=10', 'Age: 15'),
        'with Expires': dead(`Expires: ${at(10)}`, 'Age: 15'),
        younger: [
          { answer: ok('Cache-Control: max-age=60', 'Age: 30') },
          { after: 20, from: 'store', fields: { age: '50' } },
          { after: 11 },
        ],
      },
    },
    {
      id: '9111-4.2.3-apparent-age',
      level: 'MUST',
      says: 'A Date in the past is an age, too; the greater of it and Age counts.',
      variants: {
        'Date only': [
          { answer: ok('Cache-Control: max-age=60', `Date: ${at(-30)}`) },
          { after: 20, from: 'store', fields: { age: '50' } },
          { after: 11 },
        ],
        'Date older': [
          { answer: ok('Cache-Control: max-age=60', `Date: ${at(-30)}`, 'Age: 10') },
          { from: 'store', fields: { age: '30' } },
        ],
        'Age older': [
          { answer: ok('Cache-Control: max-age=60', `Date: ${at(-10)}`, 'Age: 30') },
          { from: 'store', fields: { age: '30' } },
        ],
      },
    },
    {
      id: '9111-4.2.3-future-date',
      level: 'MUST',
      says: 'A Date in the future makes no negative age.',
      steps: [
        { answer: ok('Cache-Control: max-age=60', `Date: ${at(600)}`) },
        { after: 30, from: 'store', fields: { age: '30' } },
        { after: 31 },
      ],
    },
    {
      id: '9111-4.2.3-clock-set-back',
      level: 'OWN',
      says: 'A clock that is set back makes no negative age.',
      steps: [{ answer: ok('Cache-Control: max-age=60') }, { after: -600, from: 'store', fields: { age: '0' } }],
    },
    {
      id: '9111-4.2.3-response-delay',
      level: 'MUST',
      says: 'The time that the response was under way counts, added to its Age.',
      steps: [
        { answer: { ...ok('Cache-Control: max-age=60', 'Age: 10'), delay: 5 } },
        { from: 'store', fields: { age: '15' } },
        { after: 10, from: 'store', fields: { age: '25' } },
      ],
    },
    {
      id: '9111-4-age-generated',
      level: 'MUST',
      says: 'A stored response that is reused without validation has an Age, in place of the one that it came with.',
      variants: {
        none: [{ answer: ok('Cache-Control: max-age=60') }, { after: 7, from: 'store', fields: { age: '7' } }],
        replaced: [
          { answer: ok('Cache-Control: max-age=60', 'Age: 3') },
          { after: 7, from: 'store', fields: { age: '10' } },
        ],
        'in a fraction of a second': [
          { answer: ok('Cache-Control: max-age=60') },
          { after: 1.9, from: 'store', fields: { age: '1' } },
        ],
      },
    },
    {
      id: '9111-5.1-no-age-first-hand',
      level: 'SHOULD',
      says: 'A response that the origin has just given to this request has no Age of ours.',
      steps: [{ answer: ok('Cache-Control: max-age=60'), fields: { age: null } }],
    },
    {
      id: '9111-4.2.1-default-ttl',
      level: 'OWN',
      says: 'With the option defaultTtlMs a response that says nothing of freshness lives that long; one that does goes by its own word.',
      options: { defaultTtlMs: 60_000 },
      variants: {
        'says nothing': lives([], 59, 61),
        'says max-age': lives(['Cache-Control: max-age=10'], 9, 11),
        'says no-store': dead('Cache-Control: no-store'),
      },
    },
  ],
}
