import { type Circuit, type Probe, REFUSED } from './circuit.ts'
import type { ResolvedWrapOptions } from './options.ts'
import { asks, type Verdict } from './policy.ts'
import { openProblem } from './problems.ts'

/** A function whose calls go through a circuit. */
export type WrappedFunction<This, Args extends unknown[], Result> = (
  this: This,
  ...args: Args
) => Promise<Awaited<Result>>

/** Puts a circuit in front of a function. */
export function wrapFunction<This, Args extends unknown[], Result>(
  circuit: Circuit,
  fn: (this: This, ...args: Args) => Result,
  options: ResolvedWrapOptions,
): WrappedFunction<This, Args, Result> {
  const { clock, slowMs } = circuit.options
  return async function throughCircuit(this: This, ...args: Args): Promise<Awaited<Result>> {
    const ticket = circuit.admit(CALL)
    if (ticket === REFUSED) {
      circuit.rejected()
      throw openProblem(circuit.id, circuit.retryAfterMs())
    }
    const startedAtMs = clock.now()
    let result: Awaited<Result>
    try {
      const running = fn.apply(this, args)
      result = await (options.timeoutMs === 0 ? running : inTime(running, options))
    } catch (error) {
      circuit.settle(ticket, verdictOfError(error, options))
      throw error
    }
    circuit.settle(ticket, slowMs > 0 && clock.now() - startedAtMs > slowMs ? 'slow' : 'success')
    return result
  }
}

/** Of a call nothing is known before it is over. */
const CALL: Probe = { verdictSoFar: () => 'failure' }

/** The call of a wrapped function took longer than its `timeoutMs`. */
class CallTimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'POSTERN_CALL_TIMEOUT'
}

function verdictOfError(error: unknown, options: ResolvedWrapOptions): Verdict {
  if (error instanceof CallTimeoutError) return 'failure'
  if (error instanceof Error && error.name === 'AbortError') return 'ignored'
  return asks(options.isFailure, error, everyError) ? 'failure' : 'success'
}

function everyError(): boolean {
  return true
}

/** The result of a call, or a rejection when it takes too long; what comes of it later is dropped. */
function inTime<Result>(running: Result, { name, timeoutMs }: ResolvedWrapOptions): Promise<Awaited<Result>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new CallTimeoutError(`${name} took longer than ${timeoutMs} ms`))
    }, timeoutMs).unref()
    Promise.resolve(running)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}
