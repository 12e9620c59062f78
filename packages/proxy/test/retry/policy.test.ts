import { FAILURE_TYPES, type Failure, type FailureType } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveRetries } from '../../src/retry/options.ts'
import { backoffMs, isRepeatable, mayFollow, retryAfterMs, wasNeverSent } from '../../src/retry/policy.ts'

const DEFAULTS = resolveRetries({})!

function failure(type: FailureType, phase: Failure['phase'], side: Failure['side'] = 'upstream'): Failure {
  return { type, phase, side, totalMs: 1 }
}

describe('what may be carried out twice', () => {
  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])('%s', (method) => {
    expect(isRepeatable(method, [], DEFAULTS)).toBe(true)
  })

  it.each(['POST', 'PATCH', 'PROPFIND', 'get'])('not %s', (method) => {
    expect(isRepeatable(method, ['x-idempotency-key', '1'], DEFAULTS)).toBe(false)
  })

  it('POST with an Idempotency-Key, in any case, unless that is switched off', () => {
    expect(isRepeatable('POST', ['a', 'b', 'IDEMPOTENCY-key', 'order-1'], DEFAULTS)).toBe(true)
    expect(isRepeatable('POST', ['idempotency-key', ''], DEFAULTS)).toBe(false)
    expect(isRepeatable('POST', ['idempotency-key', 'x'], resolveRetries({ idempotencyKey: false })!)).toBe(false)
  })
})

describe('what another try may follow on', () => {
  it('a connection that was never made, whatever the method', () => {
    expect(mayFollow(failure('connection_refused', 'connect'), DEFAULTS, false)).toBe(true)
    expect(mayFollow(failure('connection_timeout', 'connect'), DEFAULTS, false)).toBe(true)
    expect(mayFollow(failure('connection_limit_reached', 'queue', 'gateway'), DEFAULTS, false)).toBe(true)
    expect(mayFollow(failure('connection_refused', 'connect'), resolveRetries({ on: ['timeout'] })!, true)).toBe(false)
  })

  it('a break or a time-out before the head, of what may be repeated', () => {
    for (const type of ['connection_terminated', 'http_response_timeout', 'http_protocol_error'] as const) {
      expect(mayFollow(failure(type, 'headers'), DEFAULTS, true)).toBe(true)
      expect(mayFollow(failure(type, 'headers'), DEFAULTS, false)).toBe(false)
    }
    const resets = resolveRetries({ on: ['reset'] })!
    expect(mayFollow(failure('http_response_timeout', 'headers'), resets, true)).toBe(false)
    expect(mayFollow(failure('connection_terminated', 'request'), resets, true)).toBe(true)
  })

  it('nothing behind the head, and nothing that the client or the gateway did', () => {
    fc.assert(
      fc.property(fc.constantFrom(...FAILURE_TYPES), fc.boolean(), (type, repeatable) => {
        expect(mayFollow(failure(type, 'body'), DEFAULTS, repeatable)).toBe(false)
        expect(mayFollow(failure(type, 'tunnel'), DEFAULTS, repeatable)).toBe(false)
        expect(mayFollow(failure(type, 'headers', 'client'), DEFAULTS, repeatable)).toBe(false)
        expect(mayFollow(failure(type, 'headers', 'gateway'), DEFAULTS, repeatable)).toBe(false)
      }),
    )
  })

  it('what was sent and may not be repeated is never sent again', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FAILURE_TYPES),
        fc.constantFrom('queue', 'connect', 'request', 'headers', 'body', 'tunnel'),
        fc.constantFrom('upstream', 'client', 'gateway'),
        (type, phase, side) => {
          const each = failure(type, phase, side)
          if (!wasNeverSent(each)) expect(mayFollow(each, DEFAULTS, false)).toBe(false)
        },
      ),
    )
  })
})

describe('how long it waits', () => {
  it('a random part of a time that doubles up to a bound', () => {
    expect([1, 2, 3, 4, 5, 6].map((n) => backoffMs(n, DEFAULTS, () => 1))).toEqual([25, 50, 100, 200, 250, 250])
    expect(backoffMs(3, DEFAULTS, () => 0)).toBe(0)
    expect(backoffMs(3, DEFAULTS, () => 0.5)).toBe(50)
  })

  it.each([
    ['2', 2_000],
    ['0', 0],
    ['Wed, 25 Nov 2026 10:00:05 GMT', 5_000],
    ['Wed, 25 Nov 2026 09:00:00 GMT', 0],
    ['soon', 0],
    ['-1', 0],
    ['1.5', 0],
    ['99999999999', 0],
  ])('Retry-After: %s is %i ms', (value, ms) => {
    expect(retryAfterMs({ 'retry-after': value }, Date.UTC(2026, 10, 25, 10, 0, 0))).toBe(ms)
  })

  it('takes neither a missing nor a doubled Retry-After', () => {
    expect(retryAfterMs({}, 0)).toBe(0)
    expect(retryAfterMs({ 'retry-after': ['1', '2'] }, 0)).toBe(0)
  })
})
