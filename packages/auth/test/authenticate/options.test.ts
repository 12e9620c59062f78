import passport from 'passport'
import { describe, expect, test } from 'vitest'
import { authenticate } from '../../src/authenticate/middleware.ts'
import { passportScheme } from '../../src/schemes.ts'
import { refusalOf } from '../support/scheme-server.ts'
import { testScheme } from './support.ts'

function faults(...args: unknown[]): Record<string, string> {
  const all = refusalOf(() => authenticate(...(args as Parameters<typeof authenticate>))).faults
  return Object.fromEntries(
    all.map(({ path, message, cure }) => [path, cure === undefined ? message : `${message}; ${cure}`]),
  )
}

describe('authenticate() refuses to start', () => {
  test('without a scheme', () => {
    const missing = { schemes: 'there is none; write authenticate(jwt({ … }))' }
    expect(faults()).toEqual(missing)
    expect(faults({})).toEqual(missing)
    expect(faults({ optional: true })).toEqual(missing)
  })

  test.each([null, undefined, 5, 'jwt', {}, [], () => {}, { authenticate: 5 }])(
    'with what is no strategy: %j',
    (given) => {
      expect(Object.keys(faults(testScheme('one'), given, testScheme('two')))).toEqual(['schemes[1]'])
    },
  )

  test('with options that are unknown, or of the wrong kind; all of them at once', () => {
    expect(
      faults(testScheme('one'), {
        optinal: true,
        credentials: 'keep',
        errors: 'throw',
        failureLimit: { afterFailure: 3 },
        clock: Date,
      }),
    ).toEqual({
      optinal: 'unknown option; did you mean "optional"?',
      credentials: 'not "pass" or "drop"',
      errors: 'not "respond" or "next"',
      'failureLimit.afterFailure': 'unknown option; did you mean "afterFailures"?',
      clock: 'not a clock with now() and wallNow()',
    })
    expect(faults(testScheme('one'), { failureLimit: { delayMs: 10, maxDelayMs: 5 } })).toEqual({
      'failureLimit.maxDelayMs': 'shorter than delayMs',
    })
    expect(Object.keys(faults(testScheme('one'), { failureLimit: true, optional: 'yes' }))).toEqual([
      'optional',
      'failureLimit',
    ])
  })

  // A challenge goes into a header as it is. One that cannot stand there would make a 500 of every 401.
  test.each<[string, () => unknown]>([
    ['breaks the line', () => 'X realm="a"\r\nSet-Cookie: a=b'],
    ['is empty', () => ''],
    ['is no text', () => undefined],
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
  ])('with a scheme whose challenge %s', (_name, challenge) => {
    expect(Object.keys(faults(testScheme('one', { challenge: challenge as never })))).toEqual(['schemes[0]'])
  })
})

describe('passportScheme() refuses to start', () => {
  const strategy = new (class extends passport.Strategy {
    override authenticate(): void {}
  })()

  test('with options that are unknown, or of the wrong kind', () => {
    const { faults: all } = refusalOf(() =>
      passportScheme(strategy, { find: () => true, name: '', identity: 'id', challenge: 'a\r\nb' } as never),
    )
    expect(all.map(({ path }) => path).sort()).toEqual(['challenge', 'find', 'identity', 'name'])
    expect(all.find(({ path }) => path === 'find')?.cure).toBe('did you mean "finds"?')
  })

  test.each([null, undefined, 5, {}, 'jwt'])('with what is no strategy: %j', (given) => {
    expect(refusalOf(() => passportScheme(given as never, {})).faults.length).toBe(1)
  })
})

test('the handler has a name, its schemes, and an end', () => {
  const closed: string[] = []
  const handler = authenticate(
    testScheme('one', { close: () => void closed.push('one') }),
    testScheme('two'),
    testScheme('three', { close: () => void closed.push('three') }),
  )
  expect(handler.name).toBe('authenticateHandler')
  expect(handler.schemes.map(({ name }) => name)).toEqual(['one', 'two', 'three'])
  handler.close()
  expect(closed).toEqual(['one', 'three'])
})
