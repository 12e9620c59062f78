import { GatewayError, type ProblemDefinition } from '@postern/contracts'

/** The problem codes of this package; each has its page in docs/problems.md. */
export const CIRCUIT_BREAKER_PROBLEMS = {
  circuit_open: {
    status: 503,
    title: 'Circuit open',
    detail: 'The service is failing and is left alone for a moment. Try again later.',
  },
} as const satisfies Record<string, ProblemDefinition>

/** A problem code of this package. */
export type CircuitBreakerProblem = keyof typeof CIRCUIT_BREAKER_PROBLEMS

/**
 * What a request or a call is told that a circuit does not let through.
 *
 * @param id names the circuit to the operator
 * @param retryAfterMs when it may be worth trying again
 */
export function openProblem(id: string, retryAfterMs: number): GatewayError {
  return new GatewayError('circuit_open', CIRCUIT_BREAKER_PROBLEMS.circuit_open, {
    message: `The circuit ${id} is open`,
    headers: { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) },
  })
}
