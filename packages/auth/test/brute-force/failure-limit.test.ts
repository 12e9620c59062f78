import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { addressKey, FailureLimit } from '../../src/brute-force/failure-limit.ts'
import { type FailureLimitOptions, failureLimitOption } from '../../src/brute-force/options.ts'

function limitOf(options: FailureLimitOptions = {}) {
  let nowMs = 0
  const resolved = v.parse(failureLimitOption, options)
  if (resolved === false) throw new Error('there is a limit')
  const limit = new FailureLimit(resolved, { now: () => nowMs, wallNow: () => 0 })
  return {
    limit,
    pass(ms: number) {
      nowMs += ms
    },
    fail(key: string, times = 1) {
      for (let i = 0; i < times; i++) limit.failed(key)
    },
  }
}

describe('FailureLimit', () => {
  test('lets who mistypes a few times try again at once', () => {
    const { limit, fail } = limitOf()
    fail('a', 9)
    expect(limit.blockedForMs('a')).toBe(0)
  })

  test('has who fails on wait, twice as long each time, up to the longest delay', () => {
    const { limit, fail, pass } = limitOf()
    fail('a', 10)
    const waits = [limit.blockedForMs('a')]
    for (let i = 0; i < 7; i++) {
      pass(waits.at(-1)!)
      expect(limit.blockedForMs('a')).toBe(0)
      fail('a')
      waits.push(limit.blockedForMs('a'))
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  })

  test('tells how much of the delay is left', () => {
    const { limit, fail, pass } = limitOf({ afterFailures: 1 })
    fail('a')
    pass(400)
    expect(limit.blockedForMs('a')).toBe(600)
    pass(600)
    expect(limit.blockedForMs('a')).toBe(0)
  })

  test('concerns one caller alone', () => {
    const { limit, fail } = limitOf({ afterFailures: 1 })
    fail('a')
    expect(limit.blockedForMs('b')).toBe(0)
  })

  test('many failures at once bring the longest delay, not the sum of all', () => {
    const { limit, fail } = limitOf()
    fail('a', 10_000)
    expect(limit.blockedForMs('a')).toBe(60_000)
  })

  test('forgets failures one by one', () => {
    const { limit, fail, pass } = limitOf()
    fail('a', 9)
    pass(90_000)
    fail('a')
    expect(limit.blockedForMs('a')).toBe(0)
    fail('a')
    expect(limit.blockedForMs('a')).toBe(1_000)
  })

  test('never slows down users behind one address who mistype now and then', () => {
    const { limit, fail, pass } = limitOf()
    for (let i = 0; i < 1_000; i++) {
      fail('office')
      expect(limit.blockedForMs('office')).toBe(0)
      pass(90_000)
    }
  })

  test('who hammered for an hour is forgiven as soon as who hammered for a minute', () => {
    const { limit, fail, pass } = limitOf()
    fail('a', 100_000)
    pass(900_000 + 6 * 90_000)
    fail('a', 9)
    expect(limit.blockedForMs('a')).toBe(0)
  })

  test('good credentials clear the name', () => {
    const { limit, fail } = limitOf()
    fail('a', 20)
    limit.succeeded('a')
    expect(limit.blockedForMs('a')).toBe(0)
    fail('a', 9)
    expect(limit.blockedForMs('a')).toBe(0)
  })

  test('remembers no more callers than it is told, and keeps those who are held back and come again', () => {
    const { limit, fail } = limitOf({ afterFailures: 1, delayMs: 60_000, maxEntries: 10 })
    expect(limit.isEmpty).toBe(true)
    fail('held')
    for (let i = 0; i < 1_000; i++) {
      fail(`other ${i}`)
      expect(limit.blockedForMs('held')).toBe(60_000)
    }
    expect(limit.size).toBe(10)
    expect(limit.isEmpty).toBe(false)
  })

  test('asking leaves nothing behind', () => {
    const { limit, fail } = limitOf()
    fail('a')
    for (let i = 0; i < 1_000; i++) limit.blockedForMs(`b ${i}`)
    expect(limit.size).toBe(1)
  })

  test('long names are told apart, though they are not kept', () => {
    const { limit, fail } = limitOf({ afterFailures: 1 })
    const long = 'x'.repeat(100_000)
    fail(`${long}1`)
    expect(limit.blockedForMs(`${long}1`)).toBe(1_000)
    expect(limit.blockedForMs(`${long}2`)).toBe(0)
  })

  test('names of any characters are remembered as they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const { limit, fail } = limitOf({ afterFailures: 1, maxEntries: 10 })
        fail(name)
        expect(limit.blockedForMs(name)).toBe(1_000)
        limit.succeeded(name)
        expect(limit.size).toBe(0)
      }),
    )
  })

  test('a guesser gets no more tries than the delays allow, however he spreads them', () => {
    const options = fc.record({
      afterFailures: fc.integer({ min: 1, max: 20 }),
      delayMs: fc.integer({ min: 1, max: 5_000 }),
      maxDelayMs: fc.integer({ min: 5_000, max: 100_000 }),
      maxEntries: fc.constant(1),
      forgetAfterMs: fc.integer({ min: 100_000, max: 10_000_000 }),
    })
    fc.assert(
      fc.property(options, fc.array(fc.nat({ max: 20_000 }), { maxLength: 300 }), (given, gaps) => {
        const { limit, fail, pass } = limitOf(given)
        let tries = 0
        let totalMs = 0
        for (const gap of gaps) {
          if (limit.blockedForMs('a') === 0) {
            fail('a')
            tries++
          }
          expect(limit.blockedForMs('a')).toBeLessThanOrEqual(given.maxDelayMs)
          pass(gap)
          totalMs += gap
        }
        // Free tries at the start, what is forgotten meanwhile, the doublings, and one for each longest delay.
        const doublings = Math.ceil(Math.log2(given.maxDelayMs / given.delayMs))
        const forgotten = totalMs / (given.forgetAfterMs / given.afterFailures)
        const most = given.afterFailures + 2 * forgotten + doublings + totalMs / given.maxDelayMs + 2
        expect(tries).toBeLessThanOrEqual(most)
      }),
    )
  })
})

describe('addressKey', () => {
  test('is the /64 of IPv6, in whichever form it is written', () => {
    const same = [
      '2001:db8:1:2::1',
      '2001:DB8:1:2:ffff:ffff:ffff:ffff',
      '2001:0db8:0001:0002:0:0:0:5',
      '2001:db8:1:2::1%eth0',
    ]
    expect(new Set(same.map(addressKey))).toEqual(new Set(['2001:db8:1:2::/64']))
    expect(addressKey('2001:db8:1:3::1')).not.toBe(addressKey(same[0]!))
    expect(addressKey('::1')).toBe('0:0:0:0::/64')
    expect(addressKey('2001:db8::')).toBe('2001:db8:0:0::/64')
  })

  test('is IPv4 as it is, also mapped or behind NAT64', () => {
    for (const form of [
      '192.0.2.33',
      '::ffff:192.0.2.33',
      '::ffff:c000:221',
      '64:ff9b::192.0.2.33',
      '64:ff9b::c000:221',
    ]) {
      expect(addressKey(form), form).toBe('192.0.2.33')
    }
  })

  test('is the text itself where that is no address', () => {
    for (const text of ['', 'unknown', '::zz']) expect(addressKey(text)).toBe(text)
  })

  test('is the same for all addresses of a /64 and for no other', () => {
    const group = fc.integer({ min: 0, max: 0xffff })
    const eight = fc.array(group, { minLength: 8, maxLength: 8 })
    const text = (groups: readonly number[]) => groups.map((each) => each.toString(16)).join(':')
    fc.assert(
      fc.property(eight, fc.array(group, { minLength: 4, maxLength: 4 }), fc.nat({ max: 3 }), (groups, host, at) => {
        fc.pre(groups[0] !== 0 && groups[0] !== 0x64)
        const near = [...groups.slice(0, 4), ...host]
        expect(addressKey(text(near))).toBe(addressKey(text(groups)))
        const far = groups.with(at, groups[at]! ^ 1)
        fc.pre(far[0] !== 0 && far[0] !== 0x64)
        expect(addressKey(text(far))).not.toBe(addressKey(text(groups)))
      }),
    )
  })
})

describe('the option', () => {
  test('has the defaults of its documentation, and may be false', () => {
    expect(v.parse(failureLimitOption, undefined)).toEqual({
      afterFailures: 10,
      delayMs: 1_000,
      maxDelayMs: 60_000,
      forgetAfterMs: 900_000,
      maxEntries: 100_000,
    })
    expect(v.parse(failureLimitOption, false)).toBe(false)
  })

  test('is refused where it is wrong, each part by its path', () => {
    const paths = (input: unknown) => v.safeParse(failureLimitOption, input).issues?.map((issue) => v.getDotPath(issue))
    expect(paths({ afterFailures: 0, delayMs: -1, maxDelayMs: 1.5, forgetAfterMs: '1', maxEntries: 1e9 })).toEqual([
      'afterFailures',
      'delayMs',
      'maxDelayMs',
      'forgetAfterMs',
      'maxEntries',
    ])
    expect(paths({ delayMs: 5_000, maxDelayMs: 4_000 })).toEqual(['maxDelayMs'])
    expect(paths({ delay: 5_000 })).toEqual(['delay'])
    expect(paths(true)).toEqual([null])
  })
})
