import { describe, expect, it } from 'vitest'
import { newTraceparent, traceIdOf } from '../src/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

describe('traceIdOf', () => {
  it('reads the trace id of version 00', () => {
    expect(traceIdOf(`00-${TRACE}-${PARENT}-01`)).toBe(TRACE)
  })

  it('reads later versions, which may carry more', () => {
    expect(traceIdOf(`cc-${TRACE}-${PARENT}-01`)).toBe(TRACE)
    expect(traceIdOf(`cc-${TRACE}-${PARENT}-01-what-comes`)).toBe(TRACE)
  })

  it.each([
    ['the forbidden version', `ff-${TRACE}-${PARENT}-01`],
    ['more fields than version 00 has', `00-${TRACE}-${PARENT}-01-more`],
    ['no trace', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['no parent', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${PARENT}-01`],
    ['a short id', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['two headers as one list', `00-${TRACE}-${PARENT}-01, 00-${TRACE}-${PARENT}-01`],
    ['nothing', ''],
  ])('refuses %s', (_, header) => {
    expect(traceIdOf(header)).toBeUndefined()
  })
})

describe('newTraceparent', () => {
  it('begins another valid trace each time', () => {
    const [first, second] = [newTraceparent(), newTraceparent()]
    expect(traceIdOf(first)).toMatch(/^[0-9a-f]{32}$/)
    expect(first).not.toBe(second)
  })
})
