import { type Exchange, warnOnce } from '@postern/contracts'
import { targetsRefused } from '../channels.ts'
import { resolveReplacement } from '../options.ts'
import type { Pool } from '../pool.ts'
import { FirstList } from './first-list.ts'
import { type FeedOptions, type LiveSource, TargetFeed, type TargetList } from './target-feed.ts'

/** What {@link LiveTargets} takes of the balancer's options. */
export interface LiveTargetsOptions extends Pick<FeedOptions, 'refreshMs' | 'random'> {
  readonly name: string
  readonly firstTargetsMs: number
}

/** Fills a pool from a source that goes on giving lists. A bad list changes nothing: the last good one stays. */
export class LiveTargets {
  readonly #pool: Pool
  readonly #name: string
  readonly #first: FirstList
  readonly #feed: TargetFeed

  constructor(source: LiveSource, options: LiveTargetsOptions, pool: Pool) {
    this.#pool = pool
    this.#name = options.name
    this.#first = new FirstList(options.firstTargetsMs)
    this.#feed = new TargetFeed(source, {
      refreshMs: options.refreshMs,
      random: options.random,
      onList: (list) => this.replace(list, 'a list of targets'),
      onFault: (error) => this.#refused(error),
    })
    this.#feed.start()
  }

  /**
   * Swaps the targets, and lets requests go on that waited for them.
   *
   * @throws ConfigError with all faults; then nothing has changed
   */
  replace(list: TargetList, subject?: string): void {
    this.#pool.replace(resolveReplacement(list, subject))
    this.#first.open()
  }

  /** True while requests should wait for the first list. */
  get isAwaited(): boolean {
    return !this.#first.isOpen
  }

  /** Calls `next` when the first list is there, or does not come in time. */
  hold(exchange: Exchange, next: () => void): void {
    this.#first.hold(exchange, next)
  }

  /** Ends the source; requests that still wait go on. */
  close(): void {
    this.#feed.close()
    this.#first.open()
  }

  #refused(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    warnOnce('POSTERN_TARGETS_REFUSED', `${this.#name}: the last good list of targets stays. ${message}`, this.#name)
    if (targetsRefused.hasSubscribers) targetsRefused.publish({ balancer: this.#name, error })
  }
}
