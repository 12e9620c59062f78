import { aborts } from './aborts.ts'
import { failing } from './failing.ts'
import { hang } from './hang.ts'
import { kill } from './kill.ts'
import { outage } from './outage.ts'
import { overloads } from './overload.ts'
import { rolling } from './rolling.ts'
import type { Row } from './row.ts'
import { slow } from './slow.ts'
import { stale } from './stale.ts'
import { steady } from './steady.ts'
import { stop } from './stop.ts'

/** Every row, in the order of the report. */
export const ROWS: readonly Row[] = [
  steady,
  kill,
  rolling,
  hang,
  slow,
  outage,
  failing,
  ...overloads,
  aborts,
  stop,
  stale,
]
