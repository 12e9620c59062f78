import type { CacheForwardReason } from '@postern/contracts'
import { conditionalFieldsFor } from '../rules/revalidation.ts'
import type { StoredResponse } from '../stored-response.ts'
import { setConditions } from './request-edit.ts'
import type { Turn } from './turn.ts'

/** Why a request is sent on, and with what at hand. */
export interface FillPlan {
  readonly fwd: CacheForwardReason
  /** All that is stored behind the key. */
  readonly stored: readonly StoredResponse[]
  /** The stored response that would answer if it were still good. */
  readonly selected: StoredResponse | undefined
  /** Others may wait for the answer. */
  readonly isShared: boolean
}

/**
 * Gives a request that is sent on the cache's conditions in place of the client's, so that the answer is a 304 for what is
 * stored, or whole.
 *
 * @returns true when conditions of the client's own were taken away: they are held against the answer then
 */
export function takeConditions({ req, facts }: Turn, { stored, selected, isShared }: FillPlan): boolean {
  // HEAD brings stored responses up to date by its fields (RFC 9111 §4.3.5); its conditions are the client's.
  if (facts.method !== 'GET') return false
  const hasOwn = facts.ifNoneMatch !== undefined || facts.ifModifiedSince !== undefined
  const isAsked = stored.length > 0 && (selected !== undefined || facts.range === undefined)
  const conditions = isAsked
    ? conditionalFieldsFor(
        stored.filter(({ partition }) => partition === facts.partition),
        selected,
      )
    : UNCONDITIONAL
  const isValidating = conditions.ifNoneMatch !== undefined || conditions.ifModifiedSince !== undefined
  // With conditions of the client's own there may be no content to store. Where none will be stored, they stay.
  if (!isValidating && (!hasOwn || !isShared)) return false
  setConditions(req, conditions)
  return hasOwn
}

const UNCONDITIONAL = { ifNoneMatch: undefined, ifModifiedSince: undefined }
