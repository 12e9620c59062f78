import { eventually } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { identityRefused, identityVerified } from '../../src/channels.ts'
import { identityOf, refused, type Scheme, type Verdict, verified } from '../../src/scheme.ts'
import { expectRefused, guarded, told, welcomeOf } from '../support/api.ts'
import { testScheme, verdictOn } from './support.ts'

function boom(): never {
  throw new Error('secret detail of the scheme')
}

describe('a scheme of the app’s own that breaks its promise: 503, nobody gets in, nothing is told of why', () => {
  test.each<[string, Partial<Record<keyof Scheme, unknown>>]>([
    ['find throws', { find: boom }],
    ['find returns null', { find: () => null }],
    ['find returns a number', { find: () => 5 }],
    ['find returns an identity', { find: () => identityOf('one', 'root') }],
    ['guard throws', { guard: boom }],
    ['verify throws', { verify: boom }],
    ['verify rejects', { verify: async () => boom() }],
    ['verify rejects with nothing', { verify: () => Promise.reject(undefined) }],
    ['verify returns null', { verify: () => null }],
    ['verify returns true', { verify: () => true }],
    ['verify returns an identity', { verify: () => identityOf('one', 'root') }],
    ['verify resolves with null', { verify: async () => null }],
    ['verify resolves with an unknown outcome', { verify: async () => ({ outcome: 'maybe' }) }],
    ['verify lets in without saying whom', { verify: () => ({ outcome: 'verified' }) }],
    ['verify lets in nobody', { verify: async () => ({ outcome: 'verified', identity: null }) }],
    [
      'recall lets in without saying whom, and verify throws',
      { recall: () => ({ outcome: 'verified' }), verify: boom },
    ],
    ['recall returns rubbish', { recall: () => 'good:a' }],
    ['recall rejects', { recall: async () => boom() }],
  ])('%s', async (_name, parts) => {
    const app = await guarded([testScheme('one', parts as never), testScheme('two')])
    for (let i = 0; i < 2; i++)
      expectRefused(await app.ask({ one: 'good:a', two: 'good:b' }), 'authentication_unavailable')
    expect([app.reached, app.reasons]).toEqual([0, ['scheme-threw', 'scheme-threw']])
  })

  test.each<[string, Partial<Record<keyof Scheme, unknown>>]>([
    ['recall throws', { recall: boom }],
    ['claimant throws', { claimant: boom }],
    [
      'verify returns a thenable that is no promise',
      { verify: (credentials: string) => thenable(verdictOn('one', credentials) as Verdict) },
    ],
  ])('where it can do without: %s', async (_name, parts) => {
    const app = await guarded(testScheme('one', parts as never))
    expect(welcomeOf(await app.ask({ one: 'good:a' })).subject).toBe('a')
    expect((await app.ask({ one: 'bad' })).status).toBe(401)
  })

  // Credentials that could not be taken out would go to an upstream that is not to see them.
  test.each([false, true])('strip throws: 503 where credentials are dropped (optional: %s)', async (optional) => {
    const app = await guarded([testScheme('one'), testScheme('two', { strip: boom })], {
      credentials: 'drop',
      optional,
    })
    expectRefused(await app.ask({ one: 'good:a' }), 'authentication_unavailable')
    if (optional) expectRefused(await app.ask(), 'authentication_unavailable')
    expect(app.reached).toBe(0)
  })
})

describe('a client that leaves while it is found out who he is', () => {
  test.each<[string, Verdict]>([
    ['good', verified(identityOf('one', 'a'))],
    ['wrong', refused('made-up', { isGuess: true })],
  ])(
    'his request ends there; nobody goes on for him, and nothing is answered: %s credentials',
    async (_name, verdict) => {
      const verifications = told(identityVerified)
      const refusals = told(identityRefused)
      let finish: (verdict: Verdict) => void = () => {}
      let asked = 0
      const slow = testScheme('one', {
        verify: () => {
          asked++
          return new Promise((resolve) => void (finish = resolve))
        },
      })
      const app = await guarded(slow)
      const controller = new AbortController()
      const gone = app.ask({ one: 'x' }, { signal: controller.signal }).catch(() => 'gone')
      await eventually(() => asked === 1)
      controller.abort()
      expect(await gone).toBe('gone')
      await eventually(() => app.served.sockets === 0)
      finish(verdict)
      // The next one is served as if nothing had been.
      const next = app.ask({ one: 'x' })
      await eventually(() => asked === 2)
      finish(verified(identityOf('one', 'b')))
      expect(welcomeOf(await next).subject).toBe('b')
      expect([app.reached, verifications.length, refusals.length]).toEqual([1, 1, 0])
    },
  )
})

test('200 requests at once through one slow scheme are not mixed up', async () => {
  const slow = testScheme('one', {
    verify: async (credentials) => {
      for (let i = Number(credentials.slice(-1)); i >= 0; i--) await new Promise((resolve) => setImmediate(resolve))
      return verdictOn('one', credentials)
    },
  })
  const app = await guarded(slow)
  const replies = await Promise.all(Array.from({ length: 200 }, (_, i) => app.ask({ one: `good:user-${i}` })))
  expect(replies.map((reply) => welcomeOf(reply).subject)).toEqual(replies.map((_, i) => `user-${i}`))
})

function thenable(value: Verdict): PromiseLike<Verdict> {
  const promise = Promise.resolve(value)
  // biome-ignore lint/suspicious/noThenProperty: promises of other libraries are like this
  return { then: promise.then.bind(promise) } as PromiseLike<Verdict>
}
