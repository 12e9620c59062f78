import type { Figure } from '../lib/figure.ts'
import type { Behaviour, Setting } from '../lib/protocol.ts'
import type { Rig } from '../lib/rig.ts'

/** One thing that is done to a gateway, and the figures of what came of it. */
export interface Row {
  /** For `--only`. */
  readonly name: string
  /** What is done, for the report. */
  readonly does: string
  /** The gateway's configuration. @default 'default' */
  readonly setting?: Setting
  /** How the upstreams begin. @default three that take 5 ms */
  readonly behaviours?: readonly Behaviour[]
  run(rig: Rig): Promise<readonly Figure[]>
}
