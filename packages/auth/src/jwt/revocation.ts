import type { IncomingMessage } from 'node:http'
import type { Identity } from '@postern/contracts'
import { type Answer, isNow, timedCall } from '../credentials/timed-call.ts'
import type { Soon } from '../scheme.ts'

/** True when the token of this identity must not be used any longer; `identity.claims.jti` names the token. */
export type RevocationCheck = (identity: Identity, req: IncomingMessage) => boolean | Promise<boolean>

export interface ResolvedRevocation {
  readonly check: RevocationCheck
  readonly cacheMs: number
  readonly timeoutMs: number
  readonly onFailure: 'refuse' | 'allow'
}

/** How a token stands, and for how long that need not be asked again. */
export interface Standing {
  /** `assumed`: nobody can tell, and the options say that it is good then. */
  readonly state: 'good' | 'revoked' | 'unknown' | 'assumed'
  readonly forMs: number
}

/** After a failure that is let pass, it is asked again this soon, in milliseconds. */
const AFTER_FAILURE_MS = 1_000

/** Asks whether a token is revoked, within a bounded time. Never throws, never rejects. */
export function askRevocation(
  { check, cacheMs, timeoutMs, onFailure }: ResolvedRevocation,
  identity: Identity,
  req: IncomingMessage,
): Soon<Standing> {
  const standingOf = (answer: Answer<boolean>): Standing => {
    if (!answer.failed) return { state: answer.value ? 'revoked' : 'good', forMs: cacheMs }
    if (onFailure === 'refuse') return { state: 'unknown', forMs: 0 }
    return { state: 'assumed', forMs: Math.min(cacheMs, AFTER_FAILURE_MS) }
  }
  const answer = timedCall({ provider: 'revocation', timeoutMs, call: () => check(identity, req), read: readBoolean })
  return isNow(answer) ? standingOf(answer) : answer.then(standingOf)
}

/** A function that forgets to return must not let everybody in. */
function readBoolean(returned: unknown): boolean {
  if (typeof returned === 'boolean') return returned
  throw new TypeError(`isRevoked() must return a boolean, got ${typeof returned}`)
}
