/** One request that an upstream has read and will work on. */
export interface Job {
  /** True when the client has left; such a job is dropped when its turn comes. */
  abandoned(): boolean
  started(): void
  finished(): void
}

/**
 * The work of an upstream: each job takes `latencyMs`, `workers` of them at a time (0: any number), first come, first
 * served. A timer that fires late makes the worker's next job shorter, so that the capacity is what it says.
 */
export class Work {
  latencyMs: number
  workers: number
  readonly #queue: Job[] = []
  #busy = 0

  constructor(latencyMs: number, workers: number) {
    this.latencyMs = latencyMs
    this.workers = workers
  }

  add(job: Job): void {
    if (this.workers === 0) {
      job.started()
      setTimeout(() => job.finished(), this.latencyMs)
      return
    }
    this.#queue.push(job)
    if (this.#busy < this.workers) this.#next(0)
  }

  #next(lateMs: number): void {
    let job = this.#queue.shift()
    while (job?.abandoned() === true) job = this.#queue.shift()
    if (job === undefined) return
    this.#busy += 1
    const taken = job
    taken.started()
    const dueAt = performance.now() + this.latencyMs - lateMs
    setTimeout(
      () => {
        this.#busy -= 1
        taken.finished()
        this.#next(Math.min(this.latencyMs, Math.max(0, performance.now() - dueAt)))
      },
      Math.max(0, dueAt - performance.now()),
    )
  }
}
