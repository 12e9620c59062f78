import { ConfigError } from '@postern/contracts'
import { type CachePurge, cachePurged } from '../channels.ts'
import { keyUri } from '../request-facts.ts'
import { effectiveUri } from '../rules/key.ts'
import type { PurgeMode } from '../store/cache-store.ts'
import type { StoredHead } from '../stored-response.ts'
import type { CacheParts } from './cache-parts.ts'
import type { PurgeScope } from './cache-state.ts'
import { uriTag } from './tagged-head.ts'

/** Which stored responses a purge by function takes. */
export type PurgePredicate = (uri: string, response: StoredHead) => boolean

export interface PurgeOptions {
  /**
   * Makes them stale instead of taking them away: they may serve while they are revalidated, and when the upstream fails.
   * @default false
   */
  readonly soft?: boolean
}

const ABSOLUTE = /^(https?):\/\/([^/?#]+)([^#]*)/i

/** Purges by URI, path or function; see `CacheHandler.purge`. @throws ConfigError when it is none of them */
export async function purge(
  parts: CacheParts,
  what: string | URL | PurgePredicate,
  { soft = false }: PurgeOptions = {},
): Promise<number> {
  if (typeof what === 'function') return purgeWhere(parts, { matches: what }, 'predicate', '', soft)
  const text = String(what)
  if (text.startsWith('/')) {
    const uri = keyUri(`http://x${text}`, parts.options).slice('http://x'.length)
    const matches = (each: string): boolean => each.slice(each.indexOf('/', 8)) === uri
    return purgeWhere(parts, { matches }, 'uri', text, soft)
  }
  const match = ABSOLUTE.exec(text)
  if (match === null) {
    throw new ConfigError('cache().purge()', [
      {
        path: 'what',
        message: 'not a URL',
        received: what,
        cure: 'use "https://shop.example/products" or "/products"',
      },
    ])
  }
  const protocol = match[1]!.toLowerCase() === 'https' ? 'https' : 'http'
  const uri = keyUri(effectiveUri(protocol, match[2]!, match[3] === '' ? '/' : match[3]!), parts.options)
  const { store } = parts.state.store
  parts.state.outdate({ uri, matches: () => true })
  const responses = (await store.purge(uri, mode(soft))) + (await store.purgeTag(uriTag(uri), mode(soft)))
  return told(parts, 'uri', uri, soft, responses)
}

/** Purges by tag; see `CacheHandler.purgeTag`. */
export async function purgeTag(parts: CacheParts, tag: string, { soft = false }: PurgeOptions = {}): Promise<number> {
  parts.state.outdate({ matches: (_uri, head) => head.tags.includes(tag) })
  return told(parts, 'tag', tag, soft, await parts.state.store.store.purgeTag(tag, mode(soft)))
}

async function purgeWhere(
  parts: CacheParts,
  scope: PurgeScope,
  by: CachePurge['by'],
  what: string,
  soft: boolean,
): Promise<number> {
  parts.state.outdate(scope)
  const picks = (key: string, head: StoredHead): boolean => {
    const end = key.indexOf('\n')
    return scope.matches(end === -1 ? key : key.slice(0, end), head)
  }
  return told(parts, by, what, soft, await parts.state.store.store.purgeWhere(picks, mode(soft)))
}

function told(parts: CacheParts, by: CachePurge['by'], what: string, soft: boolean, responses: number): number {
  if (cachePurged.hasSubscribers) cachePurged.publish({ cache: parts.options.name, by, what, soft, responses })
  return responses
}

function mode(soft: boolean): PurgeMode {
  return soft ? 'stale' : 'delete'
}
