import { responseStored } from '../channels.ts'
import { updatedFields } from '../rules/header-update.ts'
import { headUpdate, reusedAfter304, selectedFor304, updatedHead } from '../rules/revalidation.ts'
import type { ReceivedResponse } from '../rules/storing.ts'
import { couldBeChosen } from '../rules/vary.ts'
import type { StoredHead, StoredResponse } from '../stored-response.ts'
import type { PurgeNotes } from './purge-notes.ts'
import { newId } from './response-id.ts'
import { taggedHead } from './tagged-head.ts'
import type { Turn } from './turn.ts'

/**
 * Brings stored responses up to date by a 304 (RFC 9111 §4.3.4).
 *
 * @param selected the one whose validators the request carried
 * @param purges those that came since the request was sent
 * @returns the one to answer with; undefined when the 304 speaks of none that is stored
 */
export function freshen(
  turn: Turn,
  stored: readonly StoredResponse[],
  selected: StoredResponse | undefined,
  received: ReceivedResponse,
  purges: PurgeNotes,
): StoredResponse | undefined {
  const updated = selectedFor304(stored, turn.facts, received.headers) as readonly StoredResponse[]
  let first: StoredResponse | undefined
  for (const response of updated) {
    const fresh = update(turn, response, received, purges)
    first ??= fresh
  }
  if (first !== undefined) return first
  const reused = reusedAfter304(stored, selected, turn.facts, received.headers) as StoredResponse | undefined
  if (reused === undefined || reused === selected || reused.body === undefined) return reused
  // Another variant is what this request selects, too: it is stored once more, under the fields of this one.
  const { facts, options, state, req } = turn
  const head = updatedHead(reused, facts, received, options, newId())
  if (head === undefined) return reused
  const tagged = taggedHead(head, req, facts, options)
  if (tagged === undefined) return reused
  const variant = { ...tagged, body: reused.body }
  if (!purges.cover(variant)) state.store.put(facts.key, variant)
  return variant
}

/** Brings stored responses up to date by a response to HEAD, or makes them stale (RFC 9111 §4.3.5). */
export function freshenByHead(
  turn: Turn,
  stored: readonly StoredResponse[],
  received: ReceivedResponse,
  purges: PurgeNotes,
): void {
  const { facts, state } = turn
  for (const response of stored) {
    if (!couldBeChosen(response, facts)) continue
    const what = headUpdate(response, received.status, received.headers)
    if (what === 'update') update(turn, response, received, purges)
    else if (what === 'invalidate') {
      state.store.update(facts.key, { ...headOf(response), staleSinceMs: received.receivedAtMs })
    }
  }
}

/** @returns the response as it is now; where it may not be stored any more, it is out of the store */
function update(turn: Turn, response: StoredResponse, received: ReceivedResponse, purges: PurgeNotes): StoredResponse {
  const { facts, options, state, req } = turn
  const next = updatedHead(response, facts, received, options)
  const head = next === undefined ? undefined : taggedHead(next, req, facts, options)
  if (head === undefined) {
    // This client still gets it, with what the origin says of it now.
    state.store.remove(facts.key, response.id)
    return { ...response, headers: updatedFields(response.headers, received.headers) }
  }
  if (next === response) return response
  const current = { ...head, body: response.body }
  if (purges.cover(head)) return current
  state.store.update(facts.key, head)
  if (responseStored.hasSubscribers) {
    responseStored.publish({ cache: options.name, uri: facts.uri, response: head, updated: true })
  }
  return current
}

/** A stored response without its content. */
function headOf({ body: _, ...head }: StoredResponse): StoredHead {
  return head
}
