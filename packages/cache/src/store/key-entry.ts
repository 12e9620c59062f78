import type { HeldResponse } from './held-response.ts'
import type { Shard } from './shard.ts'

/** A key with the responses behind it. */
export class KeyEntry {
  readonly key: string
  readonly shard: Shard
  /** The tick of the table at which it was last used. */
  lastUse: number
  /** The most recently stored first. Replaced whole, so that who was given the list keeps it as it was. */
  responses: readonly HeldResponse[] = []

  constructor(key: string, shard: Shard, lastUse: number) {
    this.key = key
    this.shard = shard
    this.lastUse = lastUse
  }
}
