import { eventually, unhandled } from '@postern/test-kit'
import fc from 'fast-check'
import { exportJWK, generateKeyPair } from 'jose'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type KeySetRefresh, keySetRefreshed, type ProviderFailure, providerFailed } from '../../src/channels.ts'
import type { JwtAlgorithm, KeysUnavailable, VerificationKey } from '../../src/jwt/key-set.ts'
import { RemoteKeys } from '../../src/jwt/remote-keys.ts'
import { type RemoteKeysOptions, remoteKeysOption } from '../../src/jwt/remote-options.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { type Fault, type Issuer, startIssuer } from '../support/issuer.ts'

let issuer: Issuer
let clock: ManualClock
const open: RemoteKeys[] = []
const failures: ProviderFailure[] = []
const refreshes: KeySetRefresh[] = []
const onFailure = (failure: ProviderFailure) => void failures.push(failure)
const onRefresh = (refresh: KeySetRefresh) => void refreshes.push(refresh)

beforeEach(async () => {
  issuer = await startIssuer({ algorithms: ['ES256'] })
  clock = manualClock()
  failures.length = 0
  refreshes.length = 0
  providerFailed.subscribe(onFailure)
  keySetRefreshed.subscribe(onRefresh)
})

afterEach(async () => {
  for (const keys of open.splice(0)) keys.close()
  providerFailed.unsubscribe(onFailure)
  keySetRefreshed.unsubscribe(onRefresh)
  await issuer.close()
})

function remoteKeys(options: Partial<RemoteKeysOptions> = {}, algorithms: JwtAlgorithm[] = ['ES256']): RemoteKeys {
  const resolved = v.parse(remoteKeysOption, { uri: issuer.jwksUri, allowHttp: true, ...options })
  // Pauses are as long as they can be: chance has no part in what is asserted.
  const keys = new RemoteKeys(resolved, algorithms, clock, () => 0)
  open.push(keys)
  return keys
}

function kid(): string {
  return issuer.key().kid
}

/** The keys, which must be there without a wait. */
function now(keys: RemoteKeys, name: string | undefined): readonly VerificationKey[] {
  const found = keys.keysFor(name, 'ES256')
  if (found instanceof Promise || 'unavailable' in found) throw new Error('the keys are not there at once')
  return found
}

async function later(keys: RemoteKeys, name: string | undefined): Promise<readonly VerificationKey[]> {
  const found = await keys.keysFor(name, 'ES256')
  if ('unavailable' in found) throw new Error('the keys cannot be had', { cause: found.cause })
  return found
}

async function unavailable(keys: RemoteKeys, name: string | undefined): Promise<KeysUnavailable> {
  const found = await keys.keysFor(name, 'ES256')
  if (!('unavailable' in found)) throw new Error(`there are keys: ${found.length}`)
  return found
}

describe('the first token', () => {
  test('has the keys fetched, and later ones find them there', async () => {
    const keys = remoteKeys()
    const [key] = await later(keys, kid())
    expect(key).toMatchObject({ kid: kid(), active: true, algorithms: new Set(['ES256']) })
    expect(now(keys, kid())).toEqual([key])
    expect(now(keys, undefined)).toEqual([key])
    expect(issuer.jwks.requests).toBe(1)
    expect(refreshes).toEqual([{ url: issuer.jwksUri, keys: 1, refused: [] }])
  })

  test('shares its fetch with a thousand others', async () => {
    const keys = remoteKeys()
    const release = issuer.jwks.hold()
    const asked = Array.from({ length: 1_000 }, (_, i) => keys.keysFor(i % 2 === 0 ? kid() : undefined, 'ES256'))
    await eventually(() => issuer.jwks.open === 1)
    release()
    for (const found of await Promise.all(asked)) expect(found).toHaveLength(1)
    expect(issuer.jwks.requests).toBe(1)
  })

  test('is not sent elsewhere: nothing but the configured address is asked, and a kid is no address', async () => {
    const other = await startIssuer({ algorithms: ['ES256'] })
    const keys = remoteKeys()
    await later(keys, kid())
    expect(now(keys, kid())).toHaveLength(1)
    expect(await later(keys, other.jwksUri)).toEqual([])
    expect(other.jwks.requests).toBe(0)
    await other.close()
  })
})

describe('keys that are no longer fresh', () => {
  test('are used on while they are fetched again in the background', async () => {
    issuer.jwks.headers = { 'cache-control': 'max-age=60' }
    const keys = remoteKeys()
    await later(keys, kid())
    clock.advance(59_000)
    keys.keepFresh()
    expect(now(keys, kid())).toHaveLength(1)
    expect(issuer.jwks.requests).toBe(1)
    clock.advance(2_000)
    const release = issuer.jwks.hold()
    for (let i = 0; i < 1_000; i++) {
      keys.keepFresh()
      expect(now(keys, kid())).toHaveLength(1)
    }
    release()
    await eventually(() => refreshes.length === 2)
    expect(issuer.jwks.requests).toBe(2)
  })

  test('are fetched when only remembered tokens come, which need no key', async () => {
    const keys = remoteKeys({ freshMs: 60_000 })
    const [old] = await later(keys, kid())
    await issuer.rotate()
    clock.advance(60_000)
    keys.keepFresh()
    await eventually(() => !old!.active)
    expect(issuer.jwks.requests).toBe(2)
  })

  test('keep their objects when the answer holds the same, so that remembered tokens hold', async () => {
    const keys = remoteKeys({ freshMs: 60_000 })
    const [old] = await later(keys, kid())
    clock.advance(60_000)
    keys.keepFresh()
    await eventually(() => refreshes.length === 2)
    expect(now(keys, kid())[0]).toBe(old)
    expect(old!.active).toBe(true)
  })

  test('are switched off when the answer holds another key of the same kid', async () => {
    const keys = remoteKeys({ freshMs: 60_000 })
    const [old] = await later(keys, kid())
    await issuer.lie()
    clock.advance(60_000)
    keys.keepFresh()
    await eventually(() => refreshes.length === 2)
    const [other] = now(keys, kid())
    expect(other).not.toBe(old)
    expect([old!.active, other!.active]).toEqual([false, true])
  })
})

describe('an unknown kid', () => {
  test('of a key that was published just now is found by one more fetch', async () => {
    const keys = remoteKeys()
    const [old] = await later(keys, kid())
    await issuer.rotate({ keep: true })
    expect(await later(keys, kid())).toHaveLength(1)
    expect(old!.active).toBe(true)
    expect(issuer.jwks.requests).toBe(2)
  })

  test('has nothing fetched again before the cool-down is over, and is answered at once', async () => {
    const keys = remoteKeys({ coolDownMs: 30_000 })
    await later(keys, kid())
    expect(await later(keys, 'made-up')).toEqual([])
    clock.advance(29_999)
    expect(now(keys, 'made-up')).toEqual([])
    expect(issuer.jwks.requests).toBe(2)
    clock.advance(1)
    expect(await later(keys, 'made-up')).toEqual([])
    expect(issuer.jwks.requests).toBe(3)
  })

  test('in a flood costs one fetch in a cool-down, and good tokens pass all the while', async () => {
    const keys = remoteKeys()
    const [good] = await later(keys, kid())
    for (let round = 0; round < 3; round++) {
      const before = issuer.jwks.requests
      const asked = Array.from({ length: 10_000 }, (_, i) => keys.keysFor(`flood-${round}-${i}`, 'ES256'))
      expect(now(keys, kid())).toEqual([good])
      for (const found of await Promise.all(asked)) expect(found).toEqual([])
      expect(issuer.jwks.requests).toBe(before + 1)
      clock.advance(30_000)
    }
  })

  test('that the very first fetch does not know needs no second one', async () => {
    const keys = remoteKeys()
    expect(await later(keys, 'made-up')).toEqual([])
    expect(now(keys, 'another')).toEqual([])
    expect(issuer.jwks.requests).toBe(1)
  })

  test('is told apart from an outage: when the fetch for it fails nothing is known', async () => {
    const keys = remoteKeys()
    await later(keys, kid())
    issuer.jwks.fault = 'down'
    const first = await unavailable(keys, 'new')
    expect(first.retryAfterMs).toBe(30_000)
    expect(first.cause).toMatchObject({ kind: 'network' })
    clock.advance(10_000)
    const second = keys.keysFor('new', 'ES256')
    expect(second).toMatchObject({ unavailable: true, retryAfterMs: 20_000 })
    expect(now(keys, kid())).toHaveLength(1)
    expect(issuer.jwks.requests).toBe(2)
  })

  test('where the issuer names no keys is tried with those that have no name, at once', async () => {
    const { kid: _, ...nameless } = (await exportJWK((await generateKeyPair('ES256')).publicKey)) as { kid?: string }
    issuer.publish({ keys: [nameless] })
    const keys = remoteKeys()
    const [key] = await later(keys, 'any')
    expect(key!.kid).toBeUndefined()
    expect(now(keys, 'another')).toEqual([key])
  })
})

describe('a provider that fails from the start', () => {
  test('is asked again with growing pauses, and nobody waits for it meanwhile', async () => {
    issuer.jwks.fault = 'down'
    const keys = remoteKeys()
    expect(await unavailable(keys, kid())).toMatchObject({ retryAfterMs: 1_000 })
    for (let i = 0; i < 1_000; i++) {
      expect(keys.keysFor(`${i}`, 'ES256')).toMatchObject({ unavailable: true, retryAfterMs: 1_000 })
    }
    expect(issuer.jwks.requests).toBe(1)
    clock.advance(1_000)
    expect(await unavailable(keys, kid())).toMatchObject({ retryAfterMs: 2_000 })
    expect(issuer.jwks.requests).toBe(2)
    expect(failures).toHaveLength(2)
    expect(failures[0]).toMatchObject({ provider: 'jwks', url: issuer.jwksUri, error: { kind: 'network' } })
    issuer.jwks.fault = undefined
    clock.advance(2_000)
    expect(await later(keys, kid())).toHaveLength(1)
  })

  test('by not answering holds requests no longer than its time', async () => {
    issuer.jwks.fault = 'silent'
    const keys = remoteKeys({ timeoutMs: 100 })
    const startedAt = performance.now()
    const all = await Promise.all(Array.from({ length: 100 }, () => unavailable(keys, kid())))
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(all[0]!.cause).toMatchObject({ kind: 'timeout' })
    expect(issuer.jwks.requests).toBe(1)
  })
})

const NONSENSE: Record<string, unknown> = {
  null: null,
  'a list': [],
  'an object without keys': { issuer: 'x' },
  'keys that are no list': { keys: {} },
  'no key at all': { keys: [] },
  'keys that are no objects': { keys: [null, 5, 'x', []] },
  'a key for encryption alone': { keys: [{ kty: 'EC', use: 'enc', crv: 'P-256', x: 'AA', y: 'AA' }] },
  'a shared secret': { keys: [{ kty: 'oct', kid: 'x', k: 'c2VjcmV0' }] },
  'too many keys': { keys: Array.from({ length: 101 }, () => ({ kty: 'EC' })) },
}

describe('last known good keys', () => {
  const faults: Fault[] = [
    'down',
    'silent',
    'dribble',
    'cut',
    'redirect',
    'huge',
    'endless',
    'not-json',
    'packed',
    500,
    404,
    429,
    202,
  ]

  test.each(faults)('stay in use when the provider fails: %s', async (fault) => {
    const watched = unhandled()
    const keys = remoteKeys({ freshMs: 60_000, timeoutMs: 200 })
    const [good] = await later(keys, kid())
    issuer.jwks.fault = fault
    clock.advance(60_000)
    for (let i = 0; i < 100; i++) {
      keys.keepFresh()
      expect(now(keys, kid())).toEqual([good])
    }
    await eventually(() => failures.length === 1)
    expect(now(keys, kid())).toEqual([good])
    expect(good!.active).toBe(true)
    expect(issuer.jwks.followed).toBe(0)
    expect(await watched.stop()).toEqual([])
  })

  test.each(Object.keys(NONSENSE))('stay in use when the answer is nonsense: %s', async (name) => {
    const keys = remoteKeys({ freshMs: 60_000 })
    const [good] = await later(keys, kid())
    issuer.publish(NONSENSE[name] ?? 'null')
    clock.advance(60_000)
    keys.keepFresh()
    await eventually(() => failures.length === 1)
    expect(failures[0]!.error).toMatchObject({ kind: 'unusable' })
    expect(now(keys, kid())).toEqual([good])
  })

  test('stay in use when the answer is a million keys', async () => {
    const keys = remoteKeys({ freshMs: 60_000 })
    const [good] = await later(keys, kid())
    issuer.publish({ keys: Array.from({ length: 1_000_000 }, () => ({ kty: 'RSA' })) })
    clock.advance(60_000)
    keys.keepFresh()
    await eventually(() => failures.length === 1)
    expect(failures[0]!.error).toMatchObject({ kind: 'too-large' })
    expect(now(keys, kid())).toEqual([good])
  })

  test('carry ten thousand requests through an outage', async () => {
    const keys = remoteKeys({ freshMs: 60_000, maxStaleMs: 3_600_000 })
    const [good] = await later(keys, kid())
    issuer.jwks.fault = 'down'
    for (let i = 0; i < 10_000; i++) {
      clock.advance(300)
      keys.keepFresh()
      expect(now(keys, kid())).toEqual([good])
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    // Fifty minutes, in which it is asked twice a minute at most.
    expect(issuer.jwks.requests).toBeGreaterThan(2)
    expect(issuer.jwks.requests).toBeLessThan(110)
  })

  test('are given up when no fetch has succeeded for too long, and so are the tokens that they verified', async () => {
    const keys = remoteKeys({ freshMs: 60_000, maxStaleMs: 120_000 })
    const [good] = await later(keys, kid())
    issuer.jwks.fault = 'down'
    clock.advance(179_999)
    keys.keepFresh()
    expect(now(keys, kid())).toEqual([good])
    await eventually(() => failures.length === 1)
    clock.advance(1)
    keys.keepFresh()
    expect(good!.active).toBe(false)
    expect(await unavailable(keys, kid())).toMatchObject({ cause: { kind: 'network' } })
    issuer.jwks.fault = undefined
    clock.advance(30_000)
    expect((await later(keys, kid()))[0]).toBe(good)
    expect(good!.active).toBe(true)
  })

  test('are given up in time also while a fetch is under way', async () => {
    const keys = remoteKeys({ freshMs: 60_000, maxStaleMs: 120_000 })
    const [good] = await later(keys, kid())
    const release = issuer.jwks.hold()
    clock.advance(179_999)
    keys.keepFresh()
    expect(now(keys, kid())).toEqual([good])
    clock.advance(1)
    keys.keepFresh()
    expect(good!.active).toBe(false)
    await eventually(() => issuer.jwks.requests === 2)
    release()
    expect((await later(keys, kid()))[0]).toBe(good)
    expect([good!.active, issuer.jwks.requests]).toEqual([true, 2])
  })

  test('are not used when nobody has asked for longer than that', async () => {
    const keys = remoteKeys({ freshMs: 60_000, maxStaleMs: 0 })
    await later(keys, kid())
    await issuer.rotate()
    clock.advance(60_000)
    expect(await later(keys, kid())).toHaveLength(1)
    expect(issuer.jwks.requests).toBe(2)
  })
})

describe('unfit keys in an answer', () => {
  test('are left out with a reason, and do not take the others with them', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const { keys: good } = issuer.document() as { keys: object[] }
    issuer.publish({
      keys: [
        ...good,
        { ...(await exportJWK(privateKey)), kid: 'leaked' },
        { ...(await exportJWK(publicKey)), kid: 'other-use', use: 'tls' },
        { ...(await exportJWK(publicKey)), kid: 'for-encryption', use: 'enc' },
      ],
    })
    const keys = remoteKeys()
    expect(await later(keys, kid())).toHaveLength(1)
    expect(now(keys, undefined)).toHaveLength(1)
    expect(refreshes[0]!.keys).toBe(1)
    expect(refreshes[0]!.refused.join('\n')).toMatch(/leaked.*private key[\s\S]*other-use/)
    expect(refreshes[0]!.refused).toHaveLength(2)
  })
})

describe('the end', () => {
  test('comes at once, also to those who wait', async () => {
    const watched = unhandled()
    issuer.jwks.fault = 'silent'
    const keys = remoteKeys()
    const waiting = unavailable(keys, kid())
    await eventually(() => issuer.jwks.open === 1)
    keys.close()
    keys.close()
    await waiting
    await eventually(() => issuer.jwks.open === 0)
    expect(keys.keysFor(kid(), 'ES256')).toMatchObject({ unavailable: true })
    keys.keepFresh()
    expect(issuer.jwks.requests).toBe(1)
    expect(failures).toEqual([])
    expect(await watched.stop()).toEqual([])
  })
})

/** Whatever a provider does: who shows a known kid is answered at once for as long as the last good answer may be used. */
test('any history of outages leaves known kids served', async () => {
  const step = fc.record({
    advanceMs: fc.integer({ min: 0, max: 40_000 }),
    fault: fc.constantFrom<(Fault | undefined)[]>(undefined, undefined, 'down', 503, 'not-json'),
    unknown: fc.boolean(),
  })
  let goodAtMs = Number.NEGATIVE_INFINITY
  const noteGood = () => {
    goodAtMs = clock.now()
  }
  keySetRefreshed.subscribe(noteGood)
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
    const keys = remoteKeys({ freshMs: 50_000, minFreshMs: 30_000, maxStaleMs: 100_000 })
    goodAtMs = Number.NEGATIVE_INFINITY
    for (const { advanceMs, fault, unknown } of steps) {
      clock.advance(advanceMs)
      issuer.jwks.fault = fault
      const mustBeServed = clock.now() < goodAtMs + 130_000
      const found = keys.keysFor(unknown ? `made-up-${clock.now()}` : kid(), 'ES256')
      if (mustBeServed && !unknown) expect(found).toHaveLength(1)
      const settled = await found
      if (unknown && !('unavailable' in settled)) expect(settled).toEqual([])
      await eventually(() => issuer.jwks.open === 0)
    }
    keys.close()
  })
  try {
    await fc.assert(property, { numRuns: 25 })
  } finally {
    keySetRefreshed.unsubscribe(noteGood)
  }
})
