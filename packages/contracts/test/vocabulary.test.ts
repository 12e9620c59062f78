import { describe, expect, test } from 'vitest'
import {
  channel,
  createTarget,
  FAILURE_TYPES,
  isFailure,
  isRefusal,
  OutgoingEdits,
  statusOf,
  systemClock,
  warnOnce,
} from '../src/index.ts'

describe('failure types', () => {
  test('all have an error status', () => {
    expect(FAILURE_TYPES.length).toBeGreaterThan(20)
    for (const type of FAILURE_TYPES) {
      expect(statusOf(type), type).toBeGreaterThanOrEqual(400)
      expect(statusOf(type), type).toBeLessThanOrEqual(599)
    }
    expect(new Set(FAILURE_TYPES).size).toBe(FAILURE_TYPES.length)
  })

  test.each([
    ['connection_refused', 502],
    ['dns_error', 502],
    ['tls_certificate_error', 502],
    ['http_protocol_error', 502],
    ['connection_timeout', 504],
    ['http_response_timeout', 504],
    ['deadline_exceeded', 504],
    ['queue_timeout', 503],
    ['destination_unavailable', 503],
    ['client_aborted', 499],
    ['client_timeout', 408],
    ['proxy_loop_detected', 508],
  ] as const)('%s shows as %i', (type, status) => {
    expect(statusOf(type)).toBe(status)
  })

  test('tell a failure from an answer, a 500 included', () => {
    expect(isFailure({ type: 'dns_error', phase: 'connect', side: 'upstream', totalMs: 1 })).toBe(true)
    expect(isFailure({ status: 500, headersMs: 1, totalMs: 2 })).toBe(false)
  })
})

test('a refusal is told from a lease', () => {
  expect(isRefusal({ reason: 'no_targets' })).toBe(true)
  expect(isRefusal({ target: createTarget('http://a.test'), settle: () => {} })).toBe(false)
})

describe('outgoing edits', () => {
  test('are nothing until somebody edits', () => {
    expect(Object.values(new OutgoingEdits()).every((value) => value === undefined)).toBe(true)
  })

  test('keep their order', () => {
    const edits = new OutgoingEdits()
    edits.editRequestHeader({ op: 'set', name: 'A', value: '1' })
    edits.editRequestHeader({ op: 'remove', name: 'A' })
    edits.editResponseHeader({ op: 'append', name: 'B', value: '2' })
    edits.editQuery({ op: 'set', name: 'q', value: '3' })
    edits.editQuery({ op: 'remove', name: 'r' })
    expect(edits.requestHeaders?.map((edit) => edit.op)).toEqual(['set', 'remove'])
    expect(edits.responseHeaders).toHaveLength(1)
    expect(edits.query?.map((edit) => edit.name)).toEqual(['q', 'r'])
  })

  test('reserve a name even when there is no value for it', () => {
    const edits = new OutgoingEdits()
    edits.setReserved('X-User', 'bob')
    edits.setReserved('X-Roles', undefined)
    expect([...edits.reserved!]).toEqual(['x-user', 'x-roles'])
    expect(edits.requestHeaders).toEqual([{ op: 'set', name: 'x-user', value: 'bob' }])
  })
})

test('a channel of one name is one channel', () => {
  const seen: number[] = []
  const listener = (message: number) => seen.push(message)
  const ours = channel<number>('postern:test:published')
  expect(ours.hasSubscribers).toBe(false)
  ours.subscribe(listener)
  channel<number>('postern:test:published').publish(7)
  expect(ours.unsubscribe(listener)).toBe(true)
  ours.publish(8)
  expect(seen).toEqual([7])
})

test('warnOnce warns once a code and key', async () => {
  const warnings: string[] = []
  const listener = (warning: Error) => warnings.push(`${(warning as NodeJS.ErrnoException).code}: ${warning.message}`)
  process.on('warning', listener)
  try {
    warnOnce('POSTERN_TEST', 'first')
    warnOnce('POSTERN_TEST', 'again')
    warnOnce('POSTERN_TEST', 'elsewhere', 'key')
    await expect.poll(() => warnings).toEqual(['POSTERN_TEST: first', 'POSTERN_TEST: elsewhere'])
  } finally {
    process.off('warning', listener)
  }
})

test('the clocks of the process: one that only goes forward, one that knows the date', () => {
  const first = systemClock.now()
  expect(systemClock.now()).toBeGreaterThanOrEqual(first)
  expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(1_000)
})
