import type { CaseGroup } from '../case.ts'
import { cacheStatus } from './cache-status.ts'
import { collapsing } from './collapsing.ts'
import { conditionals } from './conditionals.ts'
import { fields } from './fields.ts'
import { freshening } from './freshening.ts'
import { freshness } from './freshness.ts'
import { heuristics } from './heuristics.ts'
import { invalidation } from './invalidation.ts'
import { key } from './key.ts'
import { multipart } from './multipart.ts'
import { partial } from './partial.ts'
import { ranges } from './ranges.ts'
import { requestDirectives } from './request-directives.ts'
import { stale } from './stale.ts'
import { storedFields } from './stored-fields.ts'
import { storing } from './storing.ts'
import { targeted } from './targeted.ts'
import { validation } from './validation.ts'
import { vary } from './vary.ts'

/** What is stored, and for whom. */
export const storingGroups: readonly CaseGroup[] = [storing, storedFields, partial, key, vary, collapsing]

/** When what is stored is used again, validated, renewed or thrown away. */
export const reuseGroups: readonly CaseGroup[] = [
  freshness,
  heuristics,
  stale,
  validation,
  freshening,
  invalidation,
  fields,
  requestDirectives,
]

/** What clients are answered. */
export const answerGroups: readonly CaseGroup[] = [conditionals, ranges, multipart, cacheStatus, targeted]

/** Every subject, in the order of the table. */
export const groups: readonly CaseGroup[] = [...storingGroups, ...reuseGroups, ...answerGroups]
