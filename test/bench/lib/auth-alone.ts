import { MAX_FIRST_MICROS, MAX_KEY_MICROS, MAX_REMEMBERED_MICROS } from './auth-added.ts'
import { Child } from './child.ts'
import { GATEWAY_CORE } from './measure.ts'
import type { AloneOrder, AloneResult } from './protocol.ts'
import { median } from './stats.ts'
import type { Verdict } from './verdict.ts'

const ROUNDS = 9
const NOTHING: AloneOrder = { credentials: 'none' }

interface Case {
  readonly what: string
  readonly order: AloneOrder
  readonly maxMicros: number
}

const CASES: readonly Case[] = [
  { what: 'an RS256 token that is remembered', order: { credentials: 'jwt' }, maxMicros: MAX_REMEMBERED_MICROS },
  {
    what: 'an RS256 token that is verified anew',
    order: { credentials: 'jwt', rememberBytes: 0 },
    maxMicros: MAX_FIRST_MICROS,
  },
  { what: 'an API key, one of a thousand', order: { credentials: 'api-key' }, maxMicros: MAX_KEY_MICROS },
]

/** What `authenticate()` itself takes, without any I/O: of a whole request it is one or two hundredths. */
export async function measureAlone(print: (line: string) => void): Promise<readonly Verdict[]> {
  const differences = new Map<Case, number[]>(CASES.map((each) => [each, []]))
  const child = new Child('auth-alone', { core: GATEWAY_CORE })
  try {
    await child.ask()
    // Interleaved, in one process; the first round warms.
    for (let round = 0; round <= ROUNDS; round += 1) {
      const nothing = (await child.ask<AloneResult>(NOTHING)).nanos
      for (const [{ order }, of] of differences) {
        const { nanos } = await child.ask<AloneResult>(order)
        if (round > 0) of.push((nanos - nothing) / 1_000)
      }
    }
  } finally {
    await child.stop()
  }
  return [...differences].map(([{ what, maxMicros }, of]) => {
    const micros = median(of)!
    const range = `${Math.min(...of).toFixed(2)}–${Math.max(...of).toFixed(2)}`
    print(`auth-alone ${what}: ${micros.toFixed(2)} us (${range})`)
    return {
      scenario: 'auth-alone',
      what: `CPU of authenticate() without I/O: ${what}`,
      asked: `<= ${maxMicros} µs`,
      measured: `${micros.toFixed(2)} µs (${range})`,
      ok: micros <= maxMicros,
    }
  })
}
