import type { IncomingMessage } from 'node:http'
import { readRequest, warnOfOption } from '../request-facts.ts'
import type { StoredResponse } from '../stored-response.ts'
import { backgroundRequest, sendThroughApp } from './background.ts'
import type { CacheParts, Next } from './cache-parts.ts'
import type { CacheState } from './cache-state.ts'
import { Fill } from './fill.ts'
import { Turn } from './turn.ts'

/** So many stored responses are revalidated at once; beyond it stale ones are served and left as they are. */
const MAX_BACKGROUND = 256
/** Longest time that one takes, in milliseconds: the app may lose it. */
const MAX_BACKGROUND_MS = 60_000

/** A revalidation on its way through the app to the cache that wants it. */
interface Refresh {
  readonly state: CacheState
  readonly selected: StoredResponse
  readonly stored: readonly StoredResponse[]
}

const REFRESHES = new WeakMap<IncomingMessage, Refresh>()

/**
 * Revalidates a stored response with a request of the cache's own, while the client is served what is there. With the
 * stages behind the cache known, only these get it; else it goes through the app, as the client's did.
 *
 * @returns false when there is no way to send one
 */
export function refresh(turn: Turn, selected: StoredResponse, stored: readonly StoredResponse[]): boolean {
  const { state, parts, req, exchange } = turn
  const { server } = req.socket as { server?: unknown }
  if (parts.behind === undefined && server === undefined) return false
  if (state.closed || state.refreshing.size >= MAX_BACKGROUND) return true
  const background = backgroundRequest(req, parts.behind === undefined ? undefined : exchange)
  state.refreshing.add(selected.id)
  const timer = setTimeout(() => background.res.destroy(), MAX_BACKGROUND_MS)
  timer.unref()
  background.res.once('close', () => {
    clearTimeout(timer)
    state.refreshing.delete(selected.id)
  })
  const wanted = { state, selected, stored }
  if (parts.behind !== undefined) process.nextTick(startApart, parts, background.req, wanted)
  else {
    REFRESHES.set(background.req, wanted)
    process.nextTick(sendThroughApp, req, background)
  }
  return true
}

/**
 * Takes a request of a cache's own that has come to a cache.
 *
 * @returns true when it was this cache's, and is on its way
 */
export function takeRefresh(parts: CacheParts, req: IncomingMessage, next: Next | undefined): boolean {
  const wanted = REFRESHES.get(req)
  if (wanted === undefined || wanted.state !== parts.state) return false
  REFRESHES.delete(req)
  startRefresh(parts, req, wanted, next)
  return true
}

function startApart(parts: CacheParts, req: IncomingMessage, wanted: Refresh): void {
  try {
    startRefresh(parts, req, wanted, undefined)
  } catch (error) {
    // Nobody else would catch it.
    warnOfOption(parts.options.name, 'a handler behind the cache', error)
    req.gateway?.response.destroy()
  }
}

function startRefresh(
  parts: CacheParts,
  req: IncomingMessage,
  { selected, stored }: Refresh,
  next: Next | undefined,
): void {
  const exchange = req.gateway!
  const facts = readRequest(req, exchange, parts.options)
  if (typeof facts === 'string') {
    exchange.response.end()
    return
  }
  const turn = new Turn(parts, exchange, facts, next)
  turn.fwd = 'stale'
  new Fill(turn, { fwd: 'stale', stored, selected, isShared: true }).begin()
}
