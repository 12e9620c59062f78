import type { CacheForwardReason, CacheVerdict, Exchange } from '@postern/contracts'
import type { ResolvedCacheOptions } from '../options.ts'
import { cacheStatusItem } from '../rules/cache-status.ts'

/** The verdict of an answer from the store that nobody was asked for. */
export function hitVerdict(ttlS: number, detail: string | undefined): CacheVerdict {
  return { hit: true, fwd: undefined, fwdStatus: undefined, ttlS, stored: false, collapsed: false, detail }
}

/** The verdict of a request that was sent on, as far as it is known before there is an answer. */
export function forwarded(fwd: CacheForwardReason, detail: string | undefined): CacheVerdict {
  return { hit: false, fwd, fwdStatus: undefined, ttlS: undefined, stored: false, collapsed: false, detail }
}

/** Notes the verdict on the exchange, for the stages before the cache and for those behind it. */
export function note(exchange: Exchange, verdict: CacheVerdict): void {
  exchange.cache = verdict
  const { gateway } = exchange.request
  if (gateway !== undefined && gateway !== exchange) gateway.cache = verdict
}

/** Notes the verdict on the exchange and in the answer's head. */
export function tell(
  exchange: Exchange,
  verdict: CacheVerdict,
  headers: string[],
  { cacheStatus }: ResolvedCacheOptions,
): void {
  note(exchange, verdict)
  // Further caches on the way have their members before ours (RFC 9211 §2).
  if (cacheStatus !== undefined) headers.push('cache-status', cacheStatusItem(cacheStatus, verdict))
}
