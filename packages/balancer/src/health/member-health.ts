import type { ConnectFailure, ResolvedHealth, ResolvedSlowStart } from './options.ts'
import type { ProbeResult } from './probe.ts'
import { nextStepMs, slowStartShare } from './slow-start.ts'

/**
 * - `up`: may be used
 * - `out`: unhealthy by probes, or ejected; used only in a panic
 * - `unreachable`: no connection could be made a moment ago; never used
 */
export type Verdict = 'up' | 'out' | 'unreachable'

/** What a probe or an attempt changed. */
export type HealthChange = 'healthy' | 'unhealthy' | 'ejected' | 'returned' | 'unreachable' | 'reachable'

/** A target that could not be reached for less than this was hardly away: it needs no slow start. */
const SHORT_ABSENCE_MS = 1_000

/**
 * All that is known of one target's health, and the one verdict that follows. Times are those of the pool's clock; what
 * time alone changes is worked out by {@link advance}.
 */
export class MemberHealth {
  probed: 'healthy' | 'unhealthy' | 'unknown' = 'unknown'
  lastProbe: ProbeResult | undefined = undefined
  /** Good probes in a row when above 0, failed ones when below. */
  #probeRun = 0

  /** True from a connection that could not be made until something shows that one can. */
  unreachable = false
  #unreachableSinceMs = 0
  #connectFailures = 0
  /** Left out until then; afterwards one attempt at a time finds out whether it is back. */
  #retryAtMs = 0
  #onTrial = false

  ejected = false
  ejectedUntilMs = 0
  /** Ejections that still count towards the length of the next. */
  #ejections = 0
  /** Failures in a row. A 4xx and what clients do are neither failure nor success. */
  consecutiveFailures = 0
  /** Successes and failures in this interval of the success rate. */
  succeeded = 0
  failed = 0
  /** True once an attempt was answered well. */
  proven = false

  /** When the slow start began; undefined when it has its full weight. */
  #warmsFromMs: number | undefined = undefined

  get verdict(): 'healthy' | 'unhealthy' | 'unknown' {
    if (this.unreachable || this.ejected || this.probed === 'unhealthy') return 'unhealthy'
    return this.proven || this.probed === 'healthy' ? 'healthy' : 'unknown'
  }

  /** True while something should be found out soon: it is out, or the last probe failed. */
  get doubtful(): boolean {
    return this.unreachable || this.ejected || this.probed === 'unhealthy' || this.#probeRun < 0
  }

  verdictAt(now: number): Verdict {
    if (this.unreachable && now < this.#retryAtMs) return 'unreachable'
    return this.ejected || this.probed === 'unhealthy' ? 'out' : 'up'
  }

  /** When it may be used again, as far as time tells; Infinity when only a probe can tell. */
  backAtMs(now: number): number {
    if (this.probed === 'unhealthy') return Number.POSITIVE_INFINITY
    return Math.max(this.ejected ? this.ejectedUntilMs : now, this.unreachable ? this.#retryAtMs : now)
  }

  /** When time alone changes its verdict or its weight; Infinity when it does not. */
  nextChangeAtMs(now: number, slowStart: ResolvedSlowStart | undefined): number {
    let next = Number.POSITIVE_INFINITY
    if (this.ejected) next = this.ejectedUntilMs
    if (this.unreachable && this.#retryAtMs > now) next = Math.min(next, this.#retryAtMs)
    if (this.#warmsFromMs !== undefined && slowStart !== undefined) {
      next = Math.min(next, this.#warmsFromMs + nextStepMs(now - this.#warmsFromMs, slowStart))
    }
    return next
  }

  /** Does what time alone does. */
  advance(now: number): HealthChange | undefined {
    return this.ejected && now >= this.ejectedUntilMs ? this.#return(this.ejectedUntilMs) : undefined
  }

  /** Share of its weight that it has now, and forgets a slow start that is over. */
  shareAt(now: number, slowStart: ResolvedSlowStart | undefined): number {
    if (this.#warmsFromMs === undefined || slowStart === undefined) return 1
    const share = slowStartShare(now - this.#warmsFromMs, slowStart)
    if (share === 1) this.#warmsFromMs = undefined
    return share
  }

  /** Begins with a small share of its weight. */
  warm(now: number): void {
    this.#warmsFromMs = now
  }

  /**
   * An attempt goes out to it while it may still be unreachable. The next one waits until this one is heard of, or for
   * `maxMs`: a target that swallows connections must not swallow every request until the first of them times out.
   */
  tried(now: number, options: ConnectFailure): void {
    this.#onTrial = true
    this.#retryAtMs = now + options.maxMs
  }

  /** True while attempts that fail are those that went out together with the one that was counted. */
  isResting(now: number): boolean {
    return this.unreachable && !this.#onTrial && now < this.#retryAtMs
  }

  /** A connection could not be made. */
  connectFailed(now: number, options: ConnectFailure, random: () => number): HealthChange | undefined {
    const longestMs = Math.min(options.maxMs, options.baseMs * 2 ** this.#connectFailures)
    this.#connectFailures = Math.min(this.#connectFailures + 1, 31)
    this.#retryAtMs = now + longestMs * (1 - 0.5 * random())
    this.#onTrial = false
    if (this.unreachable) return undefined
    this.unreachable = true
    this.#unreachableSinceMs = now
    return 'unreachable'
  }

  /** Something was heard of it, whatever it said. */
  reached(now: number): HealthChange | undefined {
    this.#connectFailures = 0
    if (!this.unreachable) return undefined
    this.unreachable = false
    this.#onTrial = false
    if (now - this.#unreachableSinceMs > SHORT_ABSENCE_MS) this.warm(now)
    return 'reachable'
  }

  /** A probe is over. One that brings an unhealthy or unreachable target back ends its ejection, too: it was down. */
  probeEnded(now: number, result: ProbeResult, options: ResolvedHealth): readonly HealthChange[] {
    this.lastProbe = result
    const changes: HealthChange[] = []
    const wasDown = this.probed === 'unhealthy' || (this.unreachable && options.port === undefined)
    const isReached = result.answered && options.port === undefined
    if (isReached && this.reached(now) !== undefined) changes.push('reachable')
    if (!result.healthy) {
      this.#probeRun = Math.min(this.#probeRun, 0) - 1
      if (this.probed === 'unhealthy' || -this.#probeRun < options.unhealthyAfter) return changes
      this.probed = 'unhealthy'
      changes.push('unhealthy')
      return changes
    }
    this.#probeRun = Math.max(this.#probeRun, 0) + 1
    if (this.probed === 'healthy') return this.#endEjection(wasDown, now, changes)
    // A target that nothing was known of needs no more than one good probe.
    if (this.probed === 'unhealthy') {
      if (this.#probeRun < options.healthyAfter) return changes
      this.warm(now)
    }
    this.probed = 'healthy'
    changes.push('healthy')
    return this.#endEjection(wasDown, now, changes)
  }

  eject(now: number, baseMs: number, maxMs: number, random: () => number): HealthChange {
    this.#ejections++
    // Earlier by chance, so that several gateways do not send a broken target their traffic in the same moment.
    const lastsMs = Math.min(maxMs, baseMs * this.#ejections) * (1 - 0.1 * random())
    this.ejected = true
    this.ejectedUntilMs = now + lastsMs
    return 'ejected'
  }

  /** Takes ejections off the count for the time that it has been in good standing. */
  decay(now: number, decayMs: number): void {
    const intervals = Math.floor((now - this.ejectedUntilMs) / decayMs)
    if (this.#ejections > 0 && intervals > 0) this.#ejections = Math.max(0, this.#ejections - intervals)
  }

  /** Ends the ejection before its time. */
  pardon(now: number): HealthChange | undefined {
    return this.ejected ? this.#return(now) : undefined
  }

  #return(atMs: number): HealthChange {
    this.ejected = false
    this.ejectedUntilMs = atMs
    this.consecutiveFailures = 0
    this.succeeded = 0
    this.failed = 0
    this.warm(atMs)
    return 'returned'
  }

  #endEjection(wasDown: boolean, now: number, changes: HealthChange[]): readonly HealthChange[] {
    if (wasDown && this.ejected) changes.push(this.#return(now))
    return changes
  }
}
