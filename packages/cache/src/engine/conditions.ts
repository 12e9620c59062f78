import { conditionalFieldsFor } from '../rules/revalidation.ts'
import type { FillPlan } from './fill.ts'
import { setConditions } from './request-edit.ts'
import type { Turn } from './turn.ts'

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
