import { Child } from './child.ts'
import { GATEWAY_CORE } from './measure.ts'
import type { TokenShape, TokensResult } from './protocol.ts'
import type { Verdict } from './verdict.ts'

const MIB = 1024 * 1024
const TOKENS = 100_000
/** The default of `rememberBytes`. */
const REMEMBER_BYTES = 64 * MIB
const MAX_EXCESS = 0.15
const MAX_STALL_MS = 50
const PATIENCE_MS = 300_000
const SHAPES: readonly TokenShape[] = ['plain', 'nested']

/** A hundred thousand tokens, each another, in one `jwt()`: what they take, how long the event loop stands still. */
export async function checkTokens(print: (line: string) => void): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = []
  for (const shape of SHAPES) verdicts.push(...(await checkShape(shape, print)))
  return verdicts
}

async function checkShape(shape: TokenShape, print: (line: string) => void): Promise<readonly Verdict[]> {
  const child = new Child('auth-memory', { core: GATEWAY_CORE, nodeOptions: ['--expose-gc'] })
  let result: TokensResult
  try {
    await child.ask()
    result = await child.ask<TokensResult>({ tokens: TOKENS, shape }, PATIENCE_MS)
  } finally {
    await child.stop()
  }
  const { tokenBytes, sample, remembered, knownOfFirst, knownOfLast, growthBytes, heapGrowthBytes, longestTurnMs } =
    result
  print(
    `auth-memory ${shape}: ${TOKENS} tokens of ${tokenBytes} bytes, ${remembered} remembered, memory grew by ` +
      `${mib(growthBytes)}, at its peak by ${mib(result.peakGrowthBytes)}, the heap by ${mib(heapGrowthBytes)}`,
  )
  const row = (what: string, asked: string, measured: string, ok: boolean): Verdict => ({
    scenario: 'auth-memory',
    what: `a hundred thousand tokens with ${shape} claims: ${what}`,
    asked,
    measured,
    ok,
  })
  const most = REMEMBER_BYTES * (1 + MAX_EXCESS)
  return [
    row(
      `known of the last ${sample}, and of the first`,
      `${sample}, 0`,
      `${knownOfLast}, ${knownOfFirst} (${remembered} remembered)`,
      knownOfLast === sample && knownOfFirst === 0,
    ),
    row(
      'growth of memory that is held, and of the heap',
      `<= ${mib(most)}`,
      `${mib(growthBytes)}, ${mib(heapGrowthBytes)} (${mib(result.peakGrowthBytes)} at the peak, with what V8 had yet to collect)`,
      growthBytes <= most && heapGrowthBytes <= most,
    ),
    row(
      'longest stall of the event loop',
      `<= ${MAX_STALL_MS} ms`,
      `${longestTurnMs.toFixed(1)} ms (longest collection of garbage: ${result.longestCollectionMs.toFixed(1)} ms)`,
      longestTurnMs <= MAX_STALL_MS,
    ),
  ]
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`
}
