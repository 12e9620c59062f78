import { cachePurged } from '../channels.ts'
import type { RequestFacts } from '../request-facts.ts'
import { fieldValue } from '../rules/field-list.ts'
import { invalidatedUris } from '../rules/invalidation.ts'
import type { CacheParts } from './cache-parts.ts'
import type { Fill } from './fill.ts'
import { whenThere } from './guarded-store.ts'
import { uriTag } from './tagged-head.ts'

/**
 * Takes away what an unsafe request has made outdated (RFC 9111 §4.4); whoever it was stored for.
 *
 * @param by the fill that the request is, when its answer may be stored itself
 */
export function invalidate(
  { state, options }: CacheParts,
  { method, uri }: Pick<RequestFacts, 'method' | 'uri'>,
  status: number,
  headers: readonly string[],
  by?: Fill,
): void {
  const uris = invalidatedUris(
    method,
    status,
    uri,
    fieldValue(headers, 'location'),
    fieldValue(headers, 'content-location'),
  )
  for (const what of uris) {
    state.outdate({ uri: what, matches: () => true }, by)
    let responses = 0
    const end = state.beginInvalidation(what)
    const tell = (purged: number | undefined): void => {
      end()
      responses += purged ?? 0
      if (responses > 0 && cachePurged.hasSubscribers) {
        cachePurged.publish({ cache: options.name, by: 'invalidated', what, soft: false, responses })
      }
    }
    whenThere(state.store.purge(what), (purged) => {
      responses = purged ?? 0
      whenThere(state.store.purgeTag(uriTag(what)), tell)
    })
  }
}
