import { type Attempt, createTarget, type Failure } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { latencySample } from '../../src/bulkhead/latency-sample.ts'
import { bareExchange } from '../support.ts'

const target = createTarget('http://127.0.0.1:3000')
const REFUSED: Failure = { type: 'connection_refused', phase: 'connect', side: 'upstream', totalMs: 1 }
const SUPERSEDED: Failure = { type: 'superseded', phase: 'headers', side: 'gateway', totalMs: 30 }

function attempt(more: Partial<Attempt>): Attempt {
  return {
    target,
    kind: 'first',
    startedAtMs: 0,
    queueMs: 0,
    connectMs: 0,
    headersMs: undefined,
    totalMs: undefined,
    status: undefined,
    reused: false,
    failure: undefined,
    ...more,
  }
}

function sampleOf(
  attempts: readonly Attempt[],
  response = { writableFinished: true, statusCode: 200 },
  failure?: Failure,
) {
  const exchange = bareExchange(response)
  exchange.attempts.push(...attempts)
  exchange.failure = failure
  return latencySample(exchange, 80)
}

const answered = attempt({ status: 200, headersMs: 12, totalMs: 40 })

describe('the latency of an exchange', () => {
  it('is that of the head of its answer', () => {
    expect(sampleOf([answered])).toBe(12)
    expect(sampleOf([attempt({ status: 404, headersMs: 9, totalMs: 9 })])).toBe(9)
  })

  it('is that of the attempt that was answered, behind a retry and beside a hedge', () => {
    expect(sampleOf([attempt({ failure: REFUSED, totalMs: 1 }), answered])).toBe(12)
    expect(sampleOf([answered, attempt({ kind: 'hedge', failure: SUPERSEDED, totalMs: 30 })])).toBe(12)
  })

  it('is the whole time where no proxy has noted attempts', () => {
    expect(sampleOf([])).toBe(80)
  })

  it.each([
    ['an error of the upstream', [attempt({ status: 503, headersMs: 1, totalMs: 1 })]],
    ['a failed attempt', [attempt({ failure: REFUSED, totalMs: 1 })]],
    ['a stream or tunnel that began long ago', [attempt({ status: 200, headersMs: 12, totalMs: 60_000 })]],
  ])('says nothing for %s', (_, attempts) => {
    expect(sampleOf(attempts)).toBeUndefined()
  })

  it('says nothing for an answer that was not sent to its end, for an error of a handler, and for a failed exchange', () => {
    expect(sampleOf([], { writableFinished: false, statusCode: 200 })).toBeUndefined()
    expect(sampleOf([], { writableFinished: true, statusCode: 500 })).toBeUndefined()
    const left: Failure = { type: 'client_aborted', phase: 'body', side: 'client', totalMs: 5 }
    expect(sampleOf([answered], undefined, left)).toBeUndefined()
  })
})
