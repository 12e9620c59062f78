import type { ConcurrencyLimit } from '../../src/bulkhead/concurrency-limit.ts'
import { Limiter, type Waiter } from '../../src/bulkhead/limiter.ts'

/** A service that works on `workers` requests at once, `serviceMs` each, and lets all others wait without bound. */
export interface ServiceModel {
  workers: number
  serviceMs: number
}

/** One try of one request, as its client saw it. */
export interface Try {
  /** When the client first asked. */
  readonly bornMs: number
  /** When this try came to the gateway. */
  readonly arrivedMs: number
  readonly outcome: 'answered' | 'full' | 'timeout' | 'closed'
  /** From the arrival of this try to its answer. */
  readonly tookMs: number
  readonly endedMs: number
}

export interface SimulationOptions {
  readonly limit: ConcurrencyLimit
  readonly maxQueued?: number
  readonly queueMs?: number
  readonly service: ServiceModel
  /** Requests a second at a time, by clients that do not wait for one another (open loop). */
  readonly rate: (nowMs: number) => number
  readonly endMs: number
  /** Further tries of a client that was refused or has waited longer than `patienceMs`. @default 0 */
  readonly retries?: number
  /** Before each further try, in milliseconds. @default 100 */
  readonly backOffMs?: number
  /** How long a client waits for an answer before it leaves. The service goes on with what it has begun. @default no end */
  readonly patienceMs?: number
  /** Things that happen: a service that becomes slower, more workers. */
  readonly events?: readonly { readonly atMs: number; readonly act: () => void }[]
  readonly random: () => number
  readonly onLimit?: (limit: number, nowMs: number) => void
}

/** Virtual time: what is due first, happens first. */
class Agenda {
  readonly #heap: { atMs: number; order: number; act: () => void }[] = []
  #order = 0
  nowMs = 0

  at(atMs: number, act: () => void): void {
    const entry = { atMs, order: this.#order++, act }
    const heap = this.#heap
    let i = heap.push(entry) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(entry, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = entry
  }

  run(): void {
    const heap = this.#heap
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      const last = heap.pop()!
      if (heap.length > 0) {
        let i = 0
        for (;;) {
          let child = 2 * i + 1
          if (child >= heap.length) break
          if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
          if (!before(heap[child]!, last)) break
          heap[i] = heap[child]!
          i = child
        }
        heap[i] = last
      }
      this.nowMs = first.atMs
      first.act()
    }
  }
}

function before(a: { atMs: number; order: number }, b: { atMs: number; order: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** Runs clients against a limiter in front of a service, in virtual time; returns every try of every client. */
export function simulate(options: SimulationOptions): { tries: Try[]; limiter: Limiter } {
  const { service, random, queueMs = 400, retries = 0, backOffMs = 100 } = options
  const { patienceMs = Number.POSITIVE_INFINITY } = options
  const agenda = new Agenda()
  const limiter = new Limiter(options.limit, options.maxQueued)
  const tries: Try[] = []
  const backlog: (() => void)[] = []
  let busy = 0

  const serve = (done: () => void): void => {
    if (busy >= service.workers) {
      backlog.push(() => serve(done))
      return
    }
    busy++
    agenda.at(agenda.nowMs + service.serviceMs, () => {
      busy--
      // Those that wait in the service go first; whoever is let in now stands behind them.
      while (busy < service.workers && backlog.length > 0) backlog.shift()!()
      done()
    })
  }

  const arrive = (bornMs: number, triesLeft: number): void => {
    const arrivedMs = agenda.nowMs
    let isOver = false
    const over = (outcome: Try['outcome']): void => {
      if (isOver) return
      isOver = true
      const endedMs = agenda.nowMs
      tries.push({ bornMs, arrivedMs, outcome, tookMs: endedMs - arrivedMs, endedMs })
      if (outcome !== 'answered' && triesLeft > 0) {
        agenda.at(endedMs + backOffMs, () => arrive(bornMs, triesLeft - 1))
      }
    }
    let holds = false
    const begin = (): void => {
      holds = true
      const sinceMs = agenda.nowMs
      serve(() => {
        const { nowMs } = agenda
        if (!holds) return
        holds = false
        limiter.answered(nowMs - sinceMs, sinceMs, nowMs)
        limiter.release(nowMs)
        options.onLimit?.(limiter.limit, nowMs)
        over('answered')
      })
    }
    const waiter: Waiter = {
      previousQueued: undefined,
      nextQueued: undefined,
      isQueued: false,
      expiresAtMs: arrivedMs + queueMs,
      onGranted: begin,
      onRefused: (reason) => over(reason),
    }
    if (limiter.tryEnter(arrivedMs)) begin()
    else {
      const refused = limiter.wait(waiter, arrivedMs)
      if (refused !== undefined) over(refused)
      else agenda.at(waiter.expiresAtMs, () => limiter.expire(agenda.nowMs))
    }
    if (Number.isFinite(patienceMs)) {
      agenda.at(arrivedMs + patienceMs, () => {
        if (isOver) return
        limiter.leave(waiter)
        if (holds) {
          holds = false
          limiter.release(agenda.nowMs)
        }
        over('timeout')
      })
    }
  }

  const nextArrival = (): void => {
    const { nowMs } = agenda
    if (nowMs >= options.endMs) return
    const rate = options.rate(nowMs)
    if (nowMs > 0 && rate > 0) arrive(nowMs, retries)
    // Exponential gaps: clients do not know of one another.
    agenda.at(rate > 0 ? nowMs + (-Math.log(1 - random()) * 1000) / rate : nowMs + 10, nextArrival)
  }
  agenda.at(0, nextArrival)
  for (const { atMs, act } of options.events ?? []) agenda.at(atMs, act)
  agenda.run()
  return { tries, limiter }
}

/** Answers a second that came within a second of being asked for, between two times. */
export function goodput(tries: readonly Try[], fromMs: number, toMs: number): number {
  const good = tries.filter(
    ({ outcome, tookMs, endedMs }) => outcome === 'answered' && tookMs <= 1000 && endedMs >= fromMs && endedMs < toMs,
  )
  return (good.length / (toMs - fromMs)) * 1000
}
