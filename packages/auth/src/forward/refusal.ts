import type { AuthProblem } from '../problems.ts'

/** Why a request does not go on: what proves the caller's identity to the upstream cannot be had. */
export interface Refusal {
  readonly problem: Extract<AuthProblem, 'access_denied' | 'identity_unavailable' | 'invalid_credentials'>
  /** For the audit channel: `expired`, `identity-too-long`. Never shown to a client. */
  readonly reason: string
  /** For the operator's log. */
  readonly message: string
  readonly cause: unknown
}

/** See {@link Refusal}. */
export function refusal(problem: Refusal['problem'], reason: string, message: string, cause?: unknown): Refusal {
  return Object.freeze({ problem, reason, message, cause })
}
