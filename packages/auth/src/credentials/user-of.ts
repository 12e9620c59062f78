import type { IncomingMessage } from 'node:http'
import type { Identity } from '@postern/contracts'
import { type Refused, refused, type Soon, type Unavailable, unavailable, type Verified, verified } from '../scheme.ts'
import { isNow, timedCall } from './timed-call.ts'

/** Makes `req.user` of an identity; undefined, null or false: the caller is not let in. */
export type UserFunction = (identity: Identity, req: IncomingMessage) => unknown

const NO_USER = refused('no-user')

/** Asks the application who the user of an identity is. Never throws, never rejects. */
export function withUser(
  identity: Identity,
  user: UserFunction | undefined,
  req: IncomingMessage,
  timeoutMs: number,
): Soon<Verified | Refused | Unavailable> {
  if (user === undefined) return verified(identity)
  const found = timedCall<Verified | Refused>({
    provider: 'user',
    timeoutMs,
    call: () => user(identity, req),
    read: (value) => (value === undefined || value === null || value === false ? NO_USER : verified(identity, value)),
  })
  return isNow(found) ? verdictOf(found) : found.then(verdictOf)
}

function verdictOf(
  answer: Awaited<ReturnType<typeof timedCall<Verified | Refused>>>,
): Verified | Refused | Unavailable {
  return answer.failed ? unavailable('user', 1_000, answer.error) : answer.value
}
