/** Someone in a {@link WaitQueue}. The links are the queue's own. */
export interface Queued<Entry> {
  previousQueued: Entry | undefined
  nextQueued: Entry | undefined
  /** True while it stands in a queue. */
  isQueued: boolean
}

/** First come, first served; whoever leaves from the middle is taken out at once, at the same cost. */
export class WaitQueue<Entry extends Queued<Entry>> {
  #head: Entry | undefined = undefined
  #tail: Entry | undefined = undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The one that came first. */
  get head(): Entry | undefined {
    return this.#head
  }

  push(entry: Entry): void {
    entry.isQueued = true
    entry.previousQueued = this.#tail
    entry.nextQueued = undefined
    if (this.#tail === undefined) this.#head = entry
    else this.#tail.nextQueued = entry
    this.#tail = entry
    this.#length++
  }

  /** Takes the one that came first. */
  shift(): Entry | undefined {
    const head = this.#head
    if (head !== undefined) this.remove(head)
    return head
  }

  /** @returns false when it is not in the queue */
  remove(entry: Entry): boolean {
    if (!entry.isQueued) return false
    entry.isQueued = false
    const { previousQueued, nextQueued } = entry
    if (previousQueued === undefined) this.#head = nextQueued
    else previousQueued.nextQueued = nextQueued
    if (nextQueued === undefined) this.#tail = previousQueued
    else nextQueued.previousQueued = previousQueued
    entry.previousQueued = undefined
    entry.nextQueued = undefined
    this.#length--
    return true
  }
}
