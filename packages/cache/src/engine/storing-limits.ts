import { type Exchange, warnOnce } from '@postern/contracts'
import type { RequestFacts } from '../request-facts.ts'
import type { CacheParts } from './cache-parts.ts'

/** Why an answer is not stored, whatever it says of itself. */
export interface NotStored {
  readonly storable: false
  readonly reason: string
}

/**
 * Finds what keeps every answer to a request out of the store.
 *
 * @param behind the exchange as the stages behind the cache have it
 */
export function storingLimit(
  { options, state }: CacheParts,
  { method }: RequestFacts,
  exchange: Exchange,
  behind: Exchange,
): NotStored | undefined {
  if (state.closed) return notStored('closed')
  if (!options.methods.has(method)) return notStored('method')
  const isLate = behind.identity !== undefined && exchange.identity === undefined
  // Only a function of the app's own can know the caller before a stage behind has found him out.
  if (!isLate || typeof options.partition === 'function') return undefined
  warnOnce(
    'POSTERN_CACHE_BEFORE_AUTH',
    `The cache "${options.name}" is mounted before authentication: what it stored would be given to callers that nobody has looked at, so answers to authenticated requests are not stored. Mount cache() behind authenticate(), or tell it with "partition" how to keep callers apart.`,
    options.name,
  )
  return notStored('before-authentication')
}

function notStored(reason: string): NotStored {
  return { storable: false, reason }
}

/** Reasons that lie in the request: another one may still have what is stored. */
const OF_THE_REQUEST: ReadonlySet<string> = new Set([
  'authorization',
  'before-authentication',
  'closed',
  'cookie',
  'method',
  'option-failed',
  'request-no-store',
])

/** True when an answer that is not stored says that what is stored is not the truth any more, for anybody. */
export function replacesStored(status: number, { method }: RequestFacts, reason: string): boolean {
  if (method !== 'GET' || OF_THE_REQUEST.has(reason)) return false
  return status < 300 || (status < 400 && status !== 304) || status === 404 || status === 410
}
