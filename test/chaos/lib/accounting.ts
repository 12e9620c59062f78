import type { Method, RequestRecord } from './protocol.ts'

/** One execution of one request in an upstream. */
export interface Execution {
  readonly number: number
  readonly method: string
  readonly atMs: number
  /** Which upstream, and which of its processes; a restart makes another. */
  readonly upstream: number
  readonly incarnation: number
}

/** Reads a log of executions; a line that SIGKILL has cut short is none. */
export function parseExecutions(text: string, upstream: number, incarnation: number): readonly Execution[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+) ([A-Z]+) (\d+\.\d\d)$/.exec(line)
    if (match === null) return []
    return [{ number: Number(match[1]), method: match[2]!, atMs: Number(match[3]), upstream, incarnation }]
  })
}

/** Requests that did not get their answer, of one method or of all. */
export function lost(records: readonly RequestRecord[], method?: Method): readonly RequestRecord[] {
  return records.filter((each) => each.outcome !== 'ok' && (method === undefined || each.method === method))
}

/** Requests of the load that upstreams executed more often than once. */
export function executedTwice(
  records: readonly RequestRecord[],
  executions: readonly Execution[],
  method: Method,
): readonly number[] {
  const counts = countExecutions(executions)
  return records
    .filter((each) => each.method === method && (counts.get(each.number) ?? 0) > 1)
    .map((each) => each.number)
}

/** How often each outcome came: `504 × 27, ECONNRESET × 1`; "none" when there is nothing. */
export function describeOutcomes(records: readonly RequestRecord[]): string {
  const counts = new Map<string, number>()
  for (const { outcome } of records) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  const sorted = [...counts].sort((a, b) => b[1] - a[1])
  return sorted.length === 0 ? 'none' : sorted.map(([outcome, count]) => `${outcome} × ${count}`).join(', ')
}

/** Time from when a request was due to its fate, in milliseconds. */
export function latencyOf(record: RequestRecord): number {
  return record.doneAtMs - record.dueAtMs
}

/** The value that `share` of the values do not exceed; NaN when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** Requests due in [fromMs, toMs). */
export function dueWithin(records: readonly RequestRecord[], fromMs: number, toMs: number): readonly RequestRecord[] {
  return records.filter((each) => each.dueAtMs >= fromMs && each.dueAtMs < toMs)
}

/** Share of the requests due in each second from `fromMs` that were answered rightly within `withinMs`. */
export function sharePerSecond(
  records: readonly RequestRecord[],
  fromMs: number,
  seconds: number,
  withinMs = Number.POSITIVE_INFINITY,
): readonly number[] {
  return Array.from({ length: seconds }, (_, second) => {
    const due = dueWithin(records, fromMs + second * 1_000, fromMs + (second + 1) * 1_000)
    return due.filter((each) => each.outcome === 'ok' && latencyOf(each) <= withinMs).length / due.length
  })
}

/**
 * What would make every figure worthless.
 *
 * @throws Error when a request is missing or told twice, when one was answered that no upstream executed, or when the
 *   generator sent so late that it was not the open loop that it claims to be
 */
export function checkAccounts(
  records: readonly RequestRecord[],
  executions: readonly Execution[],
  expected: number,
  maxLagMs: number,
): void {
  const numbers = new Set(records.map((each) => each.number))
  if (records.length !== expected || numbers.size !== expected) {
    throw new Error(`accounts: ${expected} requests were due, ${records.length} are told (${numbers.size} different)`)
  }
  const counts = countExecutions(executions)
  const unexecuted = records.filter((each) => each.outcome === 'ok' && !counts.has(each.number))
  if (unexecuted.length > 0) {
    throw new Error(
      `accounts: ${unexecuted.length} requests were answered but never executed (${unexecuted[0]!.number})`,
    )
  }
  const lagMs = percentile(
    records.map((each) => each.sentAtMs - each.dueAtMs),
    0.99,
  )
  if (lagMs > maxLagMs) throw new Error(`accounts: the load generator was ${lagMs.toFixed(0)} ms late (p99)`)
}

function countExecutions(executions: readonly Execution[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  for (const { number } of executions) counts.set(number, (counts.get(number) ?? 0) + 1)
  return counts
}
