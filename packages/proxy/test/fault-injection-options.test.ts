import { ConfigError } from '@postern/contracts'
import { type FaultInjectionOptions, faultInjection } from '@postern/proxy'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { drawFault, readOrder } from '../src/fault-injection/fault.ts'
import { resolveOptions } from '../src/fault-injection/options.ts'

function errorOf(options: unknown): ConfigError {
  try {
    faultInjection(options as FaultInjectionOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('the options were taken')
}

const abort = { status: 500 }

describe('options', () => {
  test('have the defaults that their documentation gives', () => {
    const resolved = resolveOptions({ abort }, 'test')
    expect(resolved).toMatchObject({
      delayShare: 0,
      end: 500,
      endShare: 1,
      when: undefined,
      orders: undefined,
      permitted: true,
      name: 'faults',
      errors: 'respond',
      random: Math.random,
    })
    expect(Object.isFrozen(resolved)).toBe(true)
    expect(resolveOptions({ delay: { ms: 5 } }, 'test')).toMatchObject({ minDelayMs: 5, maxDelayMs: 5, delayShare: 1 })
    expect(resolveOptions({ abort: { reset: true } }, 'test').end).toBe('reset')
  })

  test.each([
    [undefined, ['']],
    [[], ['']],
    [{}, ['']],
    [{ dealy: { ms: 5 }, abort }, ['dealy']],
    [{ delay: 5 }, ['delay']],
    [{ delay: {} }, ['delay.ms']],
    [{ delay: { ms: -1 } }, ['delay.ms']],
    [{ delay: { ms: [20, 10] } }, ['delay.ms']],
    [{ delay: { ms: [1, 2, 3] } }, ['delay.ms']],
    [{ delay: { ms: 2 ** 31 } }, ['delay.ms']],
    [{ delay: { ms: 5, share: 2 } }, ['delay.share']],
    [{ abort: 500 }, ['abort']],
    [{ abort: {} }, ['abort']],
    [{ abort: { status: 200 } }, ['abort']],
    [{ abort: { status: 600 } }, ['abort']],
    [{ abort: { status: 500, reset: true } }, ['abort']],
    [{ abort: { reset: false } }, ['abort']],
    [{ abort: { ...abort, share: -1 } }, ['abort.share']],
    [{ abort, when: '/path' }, ['when']],
    [{ abort, when: { header: 'a b' } }, ['when.header']],
    [{ abort, when: { header: { a: 1 } } }, ['when.header']],
    [{ abort, when: { path: 'a' } }, ['when.path']],
    [{ abort, when: { method: 'get' } }, ['when.method']],
    [{ abort, when: { route: '' } }, ['when.route']],
    [{ abort, when: { host: 'a' } }, ['when.host']],
    [{ byHeader: true }, ['byHeader']],
    [{ byHeader: {} }, ['byHeader.secret']],
    [{ byHeader: { secret: 'short' } }, ['byHeader.secret']],
    [{ byHeader: { secret: '0123456789abcdef', maxDelayMs: -1 } }, ['byHeader.maxDelayMs']],
    [{ abort, environments: 'production' }, ['environments']],
    [{ abort, environments: [''] }, ['environments[0]']],
    [{ abort, name: '' }, ['name']],
    [{ abort, errors: 'throw' }, ['errors']],
    [{ abort, random: 1 }, ['random']],
    [{ abort: { status: 1 }, name: '', errors: 1 }, ['abort', 'name', 'errors']],
  ])('%j is refused where it is wrong', (options, paths) => {
    expect(errorOf(options).faults.map((fault) => fault.path)).toEqual(paths)
  })

  test('a secret that is refused is not printed back', () => {
    expect(errorOf({ byHeader: { secret: 'hunter2' } }).message).not.toContain('hunter2')
  })

  test('an unknown option names the one that was meant', () => {
    expect(errorOf({ abort: { ...abort, shares: 1 } }).faults[0]).toMatchObject({ cure: 'did you mean "share"?' })
  })
})

describe('drawing', () => {
  test('shares hold, and every delay is within its bounds', () => {
    const shares = fc.record({
      minDelayMs: fc.integer({ min: 1, max: 100 }),
      more: fc.integer({ min: 0, max: 100 }),
      delayShare: fc.constantFrom(0, 0.3, 1),
      endShare: fc.constantFrom(0, 0.3, 1),
    })
    const chance = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
      minLength: 3,
      maxLength: 3,
    })
    fc.assert(
      fc.property(shares, chance, ({ minDelayMs, more, delayShare, endShare }, draws) => {
        const left = draws.slice()
        const maxDelayMs = minDelayMs + more
        const fault = drawFault({ minDelayMs, maxDelayMs, delayShare, end: 500, endShare }, () => left.shift()!)
        if (delayShare === 0) expect(fault?.delayMs ?? 0).toBe(0)
        if (delayShare === 1) expect(fault?.delayMs).toBeGreaterThanOrEqual(minDelayMs)
        expect(fault?.delayMs ?? 0).toBeLessThanOrEqual(maxDelayMs)
        if (endShare !== 0.3) expect(fault?.end).toBe(endShare === 1 ? 500 : undefined)
      }),
    )
  })
})

describe('an order', () => {
  test.each([
    ['delay=20', { delayMs: 20, end: undefined }],
    ['abort=404', { delayMs: 0, end: 404 }],
    ['reset', { delayMs: 0, end: 'reset' }],
    ['reset , delay=7', { delayMs: 7, end: 'reset' }],
    ['delay=999999', { delayMs: 1_000, end: undefined }],
  ])('%s', (text, fault) => {
    expect(readOrder(text, 1_000)).toEqual(fault)
  })

  test('whatever is sent: it is understood within the bounds, or not at all', () => {
    const part = fc.constantFrom('delay=', 'abort=', 'reset', ',', ' ', '5', '500', '=', 'x', '-')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const fault = readOrder(parts.join(''), 1_000)
        if (fault === undefined) return
        expect(fault.delayMs).toBeGreaterThanOrEqual(0)
        expect(fault.delayMs).toBeLessThanOrEqual(1_000)
        if (typeof fault.end === 'number') expect(fault.end >= 400 && fault.end <= 599).toBe(true)
      }),
    )
  })
})
