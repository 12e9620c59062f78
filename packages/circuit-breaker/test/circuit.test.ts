import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Circuit, type Probe, REFUSED } from '../src/circuit.ts'
import { type CircuitBreakerOptions, resolveOptions } from '../src/options.ts'
import { nominalOpenMs, type Verdict } from '../src/policy.ts'
import { type Change, changes } from './support.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const CALL: Probe = { verdictSoFar: () => 'failure' }

function circuitWith(options: CircuitBreakerOptions = {}): Circuit {
  return new Circuit({ options: resolveOptions(options), circuitChanged: () => {} }, 'under test', undefined)
}

function call(circuit: Circuit, verdict: Verdict): boolean {
  const ticket = circuit.admit(CALL)
  if (ticket !== REFUSED) circuit.settle(ticket, verdict)
  return ticket !== REFUSED
}

function calls(circuit: Circuit, ...verdicts: [count: number, verdict: Verdict][]): void {
  for (const [count, verdict] of verdicts) for (let i = 0; i < count; i++) call(circuit, verdict)
}

/** Opens a circuit with the default options. */
function opened(options: CircuitBreakerOptions = { jitter: 0 }): Circuit {
  const circuit = circuitWith(options)
  calls(circuit, [7, 'failure'])
  expect(circuit.state).toBe('open')
  return circuit
}

describe('a closed circuit', () => {
  it('opens when half of twenty calls failed, and not one call before', () => {
    const circuit = circuitWith()
    for (let i = 0; i < 9; i++) calls(circuit, [1, 'success'], [1, 'failure'])
    call(circuit, 'success')
    expect(circuit.state).toBe('closed')
    call(circuit, 'failure')
    expect(circuit.state).toBe('open')
  })

  it('opens after seven failures in a row, and not after six, a success and six', () => {
    const circuit = circuitWith()
    calls(circuit, [6, 'failure'], [1, 'success'], [6, 'failure'])
    expect(circuit.state).toBe('closed')
    call(circuit, 'failure')
    expect(circuit.state).toBe('open')
  })

  it('counts slow calls among the failures', () => {
    const circuit = circuitWith({ consecutiveFailures: false })
    calls(circuit, [10, 'success'], [10, 'slow'])
    expect(circuit.state).toBe('open')
    expect(circuit.counts).toEqual({ successes: 10, failures: 10, slow: 10, rejected: 0, ignored: 0 })
  })

  it('neither opens by what says nothing, nor lets it break a row of failures', () => {
    const circuit = circuitWith()
    calls(circuit, [100, 'ignored'], [6, 'failure'], [100, 'ignored'])
    expect(circuit.state).toBe('closed')
    call(circuit, 'failure')
    expect(circuit.state).toBe('open')
  })

  it('forgets what is older than its window', () => {
    const circuit = circuitWith({ windowMs: 10_000, consecutiveFailures: false })
    calls(circuit, [19, 'failure'])
    vi.advanceTimersByTime(9_000)
    expect(circuit.counts.failures).toBe(19)
    vi.advanceTimersByTime(1_000)
    expect(circuit.counts.failures).toBe(0)
    calls(circuit, [19, 'failure'])
    expect(circuit.state).toBe('closed')
  })
})

describe('an open circuit', () => {
  it('refuses every call for its time, tells how long, and then lets one through', () => {
    const circuit = opened()
    expect(circuit.retryAfterMs()).toBe(1_000)
    vi.advanceTimersByTime(400)
    expect(circuit.retryAfterMs()).toBe(600)
    vi.advanceTimersByTime(599)
    expect(call(circuit, 'success')).toBe(false)
    vi.advanceTimersByTime(1)
    expect(circuit.state).toBe('half-open')
    expect(circuit.admit(CALL)).not.toBe(REFUSED)
    expect(circuit.admit(CALL)).toBe(REFUSED)
  })

  it('is not moved by what was sent before it opened', () => {
    const circuit = circuitWith({ jitter: 0 })
    const early = Array.from({ length: 40 }, () => circuit.admit(CALL))
    for (const ticket of early.slice(0, 7)) circuit.settle(ticket, 'failure')
    expect(circuit.state).toBe('open')
    for (const ticket of early.slice(7, 20)) circuit.settle(ticket, 'success')
    expect(circuit.state).toBe('open')
    vi.advanceTimersByTime(1_000)
    for (const ticket of early.slice(20, 30)) circuit.settle(ticket, 'success')
    expect(circuit.state).toBe('half-open')
    call(circuit, 'success')
    expect(circuit.state).toBe('closed')
    for (const ticket of early.slice(30)) circuit.settle(ticket, 'failure')
    expect(circuit.state).toBe('closed')
    expect(circuit.counts).toMatchObject({ failures: 0, ignored: 10 })
  })

  it('keeps no timer that holds the process, and none at all once it is ended', () => {
    const circuit = opened()
    vi.advanceTimersByTime(1_000)
    circuit.admit(CALL)
    expect(vi.getTimerCount()).toBe(1)
    circuit.end()
    expect(vi.getTimerCount()).toBe(0)
    expect(call(circuit, 'failure')).toBe(true)
  })
})

describe('a half-open circuit', () => {
  function halfOpened(options?: CircuitBreakerOptions): Circuit {
    const circuit = opened(options)
    vi.advanceTimersByTime(1_000)
    return circuit
  }

  it('closes after a good probe, with a clean slate', () => {
    const circuit = halfOpened()
    call(circuit, 'success')
    expect(circuit.state).toBe('closed')
    expect(circuit.counts).toEqual({ successes: 0, failures: 0, slow: 0, rejected: 0, ignored: 0 })
    calls(circuit, [6, 'failure'])
    expect(circuit.state).toBe('closed')
    call(circuit, 'failure')
    expect(circuit.retryAfterMs()).toBe(1_000)
  })

  it.each(['failure', 'slow'] as const)('opens again after a probe that was a %s, twice as long', (verdict) => {
    const circuit = halfOpened()
    call(circuit, verdict)
    expect([circuit.state, circuit.retryAfterMs(), circuit.nextOpenMs]).toEqual(['open', 2_000, 4_000])
  })

  it('gives the place to the next when the probe says nothing, as often as that happens', () => {
    const circuit = halfOpened()
    for (let i = 0; i < 5; i++) expect(call(circuit, 'ignored')).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
    expect(call(circuit, 'success')).toBe(true)
    expect(circuit.state).toBe('closed')
  })

  it('opens again when its probe is not over in time, and does not listen to it any more', () => {
    const seen = changes()
    const circuit = halfOpened()
    const ticket = circuit.admit(CALL)
    vi.advanceTimersByTime(4_999)
    expect(circuit.state).toBe('half-open')
    vi.advanceTimersByTime(1)
    expect(circuit.state).toBe('open')
    circuit.settle(ticket, 'success')
    expect(circuit.state).toBe('open')
    expect(seen.at(-1)).toMatchObject({ event: 'opened', reason: 'probe_overdue', openMs: 2_000 })
  })

  it('closes when its probe takes long, but is well so far', () => {
    const circuit = halfOpened()
    const ticket = circuit.admit({ verdictSoFar: () => 'success' })
    vi.advanceTimersByTime(5_000)
    expect(circuit.state).toBe('closed')
    circuit.settle(ticket, 'failure')
    expect(circuit.counts.failures).toBe(0)
  })
})

describe('an isolated circuit', () => {
  it('refuses everything, whatever its timers and its calls say, until it is reset', () => {
    const circuit = opened()
    vi.advanceTimersByTime(500)
    const seen = changes()
    circuit.isolate()
    vi.advanceTimersByTime(24 * 3_600_000)
    expect(circuit.state).toBe('isolated')
    expect(call(circuit, 'success')).toBe(false)
    circuit.reset()
    expect(circuit.state).toBe('closed')
    expect(call(circuit, 'success')).toBe(true)
    expect(seen.map(({ event, reason }) => `${event} ${reason}`)).toEqual(['isolated by_hand', 'closed by_hand'])
  })

  it('takes the probe its word away', () => {
    const circuit = opened()
    vi.advanceTimersByTime(1_000)
    const ticket = circuit.admit(CALL)
    circuit.isolate()
    circuit.settle(ticket, 'success')
    vi.advanceTimersByTime(10_000)
    expect(circuit.state).toBe('isolated')
  })
})

type Step =
  | { do: 'admit' }
  | { do: 'settle'; at: number; verdict: Verdict }
  | { do: 'burst'; verdicts: Verdict[] }
  | { do: 'wait'; ms: number }
  | { do: 'isolate' | 'reset' | 'hasten' }

const verdict = fc.constantFrom<Verdict>('success', 'success', 'failure', 'failure', 'slow', 'ignored')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Step>({ do: 'admit' }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('settle' as const), at: fc.nat(100), verdict }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('burst' as const),
      verdicts: fc.array(verdict, { maxLength: 12, size: 'max' }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 50, 100, 400, 1_000, 4_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('isolate' as const, 'reset' as const, 'hasten' as const) }) },
)

describe('a circuit, whatever happens in whatever order', () => {
  const OPTIONS = { openMs: 100, maxOpenMs: 1_000, probeTimeoutMs: 300, windowMs: 2_000, minimumRequests: 10 } as const

  it('probes with one call at a time, opens for cause and for the right time, and always finds back', () => {
    const seen = changes()
    const reached = new Set<string>()
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: 'max' }), fc.integer({ min: 0, max: 999 }), (steps, seed) => {
        seen.length = 0
        let chance = seed / 1_000
        const random = () => (chance = (chance * 7.13 + 0.37) % 1)
        const circuit = circuitWith({ ...OPTIONS, consecutiveFailures: 5, random })
        const inFlight: { ticket: number; period: number; probeOf: number | undefined }[] = []
        let halfOpenings = 0
        let openings = 0
        let told = 0
        let failuresInARow = 0
        let quietResets = 0
        /** Another one whenever the circuit has changed; what was sent in an earlier one must not count. */
        const period = () => seen.length + quietResets

        /** Checks what was told since the last step. */
        function check(): void {
          for (const change of seen.slice(told)) {
            checkChange(change)
            failuresInARow = 0
          }
          told = seen.length
          const live = inFlight.filter(({ probeOf }) => probeOf === halfOpenings)
          if (circuit.state === 'half-open') expect(live.length).toBeLessThanOrEqual(1)
        }
        function checkChange({ event, reason, counts, openMs }: Change): void {
          reached.add(`${event} ${reason}`)
          if (event === 'half-opened') halfOpenings++
          if (event === 'closed') openings = 0
          if (event !== 'opened') return
          const nominal = nominalOpenMs(circuit.options, openings++)
          expect(openMs).toBeLessThanOrEqual(nominal)
          expect(openMs).toBeGreaterThanOrEqual(Math.floor(nominal / 2))
          expect(openMs).toBeLessThanOrEqual(OPTIONS.maxOpenMs)
          const requests = counts.successes + counts.failures
          if (reason === 'failure_ratio') {
            expect(requests).toBeGreaterThanOrEqual(OPTIONS.minimumRequests)
            expect(counts.failures / requests).toBeGreaterThanOrEqual(0.5)
          } else if (reason === 'consecutive_failures') {
            expect(failuresInARow).toBe(5)
          }
        }
        function admit(): number {
          const { state } = circuit
          const may = circuit.mayTry()
          expect(circuit.mayTry()).toBe(may)
          const ticket = circuit.admit(CALL)
          expect(ticket !== REFUSED).toBe(may)
          if (state === 'closed') expect(may).toBe(true)
          if (state === 'open' || state === 'isolated') expect(may).toBe(false)
          const probeOf = state === 'half-open' ? halfOpenings : undefined
          if (ticket !== REFUSED) inFlight.push({ ticket, period: period(), probeOf })
          return ticket
        }
        function settle(at: number, what: Verdict): void {
          const [one] = inFlight.splice(at, 1)
          const isLiveProbe = circuit.state === 'half-open' && one!.probeOf === halfOpenings
          if (one!.period === period()) {
            if (what === 'success') failuresInARow = 0
            else if (what !== 'ignored') failuresInARow++
          }
          circuit.settle(one!.ticket, what)
          if (isLiveProbe && what === 'success') expect(circuit.state).toBe('closed')
          if (isLiveProbe && (what === 'failure' || what === 'slow')) expect(circuit.state).toBe('open')
          if (isLiveProbe && what === 'ignored') expect(circuit.mayTry()).toBe(true)
        }

        for (const one of steps) {
          if (one.do === 'admit') admit()
          else if (one.do === 'settle' && inFlight.length > 0) settle(one.at % inFlight.length, one.verdict)
          else if (one.do === 'burst') {
            for (const each of one.verdicts) {
              if (admit() !== REFUSED) settle(inFlight.length - 1, each)
              check()
            }
          } else if (one.do === 'wait') vi.advanceTimersByTime(one.ms)
          else if (one.do === 'isolate') {
            circuit.isolate()
            expect(circuit.state).toBe('isolated')
          } else if (one.do === 'hasten') circuit.hasten()
          else if (one.do === 'reset') {
            circuit.reset()
            expect(circuit.state).toBe('closed')
            quietResets++
            failuresInARow = 0
          }
          check()
        }
        // However it was left, with whatever probe still out: a while later a good call closes it.
        if (circuit.state === 'isolated') circuit.reset()
        for (let waited = 0; !circuit.mayTry(); waited += 10) {
          expect(waited).toBeLessThanOrEqual(OPTIONS.maxOpenMs + OPTIONS.probeTimeoutMs)
          vi.advanceTimersByTime(10)
        }
        call(circuit, 'success')
        expect(circuit.state).toBe('closed')
        circuit.end()
        expect(vi.getTimerCount()).toBe(0)
      }),
      { numRuns: 400 },
    )
    // The runs above went everywhere.
    expect([...reached].sort()).toEqual([
      'closed by_hand',
      'closed probe_succeeded',
      'half-opened target_recovered',
      'half-opened time',
      'isolated by_hand',
      'opened consecutive_failures',
      'opened failure_ratio',
      'opened probe_failed',
      'opened probe_overdue',
    ])
  })
})
