import type { Failure, Outcome } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../src/options.ts'
import {
  isRoutesFailure,
  isTargetsFailure,
  nominalOpenMs,
  openingReason,
  openTimeMs,
  type Verdict,
  verdictOf,
} from '../src/policy.ts'
import {
  BROKEN,
  CLIENT_LEFT,
  failure,
  NOT_FOUND,
  OK,
  QUEUED_TOO_LONG,
  REFUSED_CONNECTION,
  SUPERSEDED,
} from './support.ts'

const DEFAULTS = resolveOptions({})

describe('when a circuit opens', () => {
  it.each([
    ['half of twenty failed', 20, 10, 1, 'failure_ratio'],
    ['less than half failed', 21, 10, 6, undefined],
    ['all failed, but they are few', 6, 6, 6, undefined],
    ['seven failed in a row', 7, 7, 7, 'consecutive_failures'],
    ['seven failed in a row among many good ones', 10_000, 7, 7, 'consecutive_failures'],
    ['nothing happened', 0, 0, 0, undefined],
  ])('%s', (_, requests, failures, inARow, reason) => {
    expect(openingReason(DEFAULTS, requests, failures, inARow)).toBe(reason)
  })

  it('knows the ratio alone when failures in a row are off, and the other way round', () => {
    const ratioOnly = resolveOptions({ consecutiveFailures: false })
    expect(openingReason(ratioOnly, 19, 19, 19)).toBeUndefined()
    expect(openingReason(ratioOnly, 20, 20, 20)).toBe('failure_ratio')
    const inARowOnly = resolveOptions({ failureRatio: false })
    expect(openingReason(inARowOnly, 100, 99, 6)).toBeUndefined()
  })

  it('opens at a ratio of 1 only when every call failed', () => {
    const all = resolveOptions({ failureRatio: 1, consecutiveFailures: false })
    expect(openingReason(all, 100, 99, 50)).toBeUndefined()
    expect(openingReason(all, 100, 100, 100)).toBe('failure_ratio')
  })
})

describe('how long it stays open', () => {
  it('doubles from 1 s up to 60 s', () => {
    const times = Array.from({ length: 9 }, (_, openings) => nominalOpenMs(DEFAULTS, openings))
    expect(times).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000))
  })

  it('is shortened by at most half, and never passes the most, however often it opened', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.nat(5_000), random, fc.integer({ min: 1, max: 10_000 }), (openings, chance, openMs) => {
        const policy = { ...DEFAULTS, openMs }
        const timeMs = openTimeMs(policy, openings, chance)
        const nominal = nominalOpenMs(policy, openings)
        expect(timeMs).toBeGreaterThanOrEqual(Math.max(1, Math.floor(nominal / 2)))
        expect(timeMs).toBeLessThanOrEqual(nominal)
        expect(nominal).toBeLessThanOrEqual(policy.maxOpenMs)
      }),
    )
  })

  it('is exact without jitter, and never nothing with the whole of it', () => {
    expect(openTimeMs(resolveOptions({ jitter: 0 }), 1, 0.9)).toBe(2_000)
    expect(openTimeMs(resolveOptions({ jitter: 1 }), 0, 1 - Number.EPSILON)).toBe(1)
  })
})

describe('what an outcome says', () => {
  const tunnel: Outcome = { status: 101, headersMs: 3, totalMs: 3_600_000 }
  it.each<[string, Outcome, Verdict, Verdict]>([
    ['an answer', OK, 'success', 'success'],
    ['a 4xx', NOT_FOUND, 'success', 'success'],
    ['429', { ...OK, status: 429 }, 'success', 'success'],
    ['a 5xx', BROKEN, 'failure', 'failure'],
    ['a tunnel of an hour', tunnel, 'success', 'success'],
    ['a refused connection', REFUSED_CONNECTION, 'failure', 'failure'],
    ['a client that left', CLIENT_LEFT, 'ignored', 'ignored'],
    ['a client that stopped sending', failure('client_body_incomplete', 'client'), 'ignored', 'ignored'],
    ['an attempt that lost against a hedge', SUPERSEDED, 'ignored', 'ignored'],
    ['too long in the queue of the gateway', QUEUED_TOO_LONG, 'ignored', 'failure'],
    ['a deadline that ran out', failure('deadline_exceeded', 'gateway'), 'ignored', 'failure'],
  ])('%s', (_, outcome, atTarget, onRoute) => {
    expect(verdictOf(outcome, DEFAULTS, isTargetsFailure)).toBe(atTarget)
    expect(verdictOf(outcome, DEFAULTS, isRoutesFailure)).toBe(onRoute)
  })

  it('counts an answer that was too slow, by its head and not by its body', () => {
    const policy = resolveOptions({ slowMs: 500 })
    const judge = (headersMs: number) => verdictOf({ status: 200, headersMs, totalMs: 9_000 }, policy, isTargetsFailure)
    expect([judge(500), judge(501)]).toEqual(['success', 'slow'])
  })

  it('asks a rule of the user instead of the default', () => {
    const asked: Outcome[] = []
    const policy = resolveOptions({
      isFailure: (outcome) => {
        asked.push(outcome)
        return 'status' in outcome ? outcome.status === 429 : (outcome as Failure).type === 'deadline_exceeded'
      },
    })
    const judge = (outcome: Outcome) => verdictOf(outcome, policy, isTargetsFailure)
    expect(judge({ ...OK, status: 429 })).toBe('failure')
    expect(judge(BROKEN)).toBe('success')
    expect(judge(failure('deadline_exceeded', 'gateway'))).toBe('failure')
    expect(judge(QUEUED_TOO_LONG)).toBe('ignored')
    expect(asked).toHaveLength(4)
  })

  it('never asks that rule about a client that left or an attempt that was given up', () => {
    const policy = resolveOptions({ isFailure: () => true })
    expect(verdictOf(CLIENT_LEFT, policy, isTargetsFailure)).toBe('ignored')
    expect(verdictOf(SUPERSEDED, policy, isTargetsFailure)).toBe('ignored')
  })

  it('uses the default when that rule throws, and warns', async () => {
    const warning = new Promise<Error>((resolve) => process.once('warning', resolve))
    const policy = resolveOptions({
      isFailure: () => {
        throw new Error('broken rule')
      },
    })
    expect(verdictOf(BROKEN, policy, isTargetsFailure)).toBe('failure')
    expect(verdictOf(OK, policy, isTargetsFailure)).toBe('success')
    expect(await warning).toMatchObject({
      code: 'POSTERN_IS_FAILURE_THREW',
      message: expect.stringContaining('broken rule'),
    })
  })
})
