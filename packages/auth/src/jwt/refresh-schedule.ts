/** How often a key set is fetched; all in milliseconds. */
export interface RefreshPolicy {
  readonly coolDownMs: number
  readonly minFreshMs: number
  readonly maxStaleMs: number
}

/** The pause after the first of several failures; each further one doubles it. */
const FIRST_PAUSE_MS = 1_000
/** A pause is shortened by a random share of at most this, so that several gateways do not ask in step. */
const JITTER = 0.5
const NEVER = Number.NEGATIVE_INFINITY

/**
 * When a key set may be fetched, must be, and until when its keys are used. Decides only: takes the time as it is told, and
 * knows neither keys nor HTTP.
 */
export class RefreshSchedule {
  readonly #policy: RefreshPolicy
  readonly #random: () => number
  /** Nothing was fetched yet. */
  #freshUntilMs = NEVER
  #usableUntilMs = NEVER
  #failures = 0
  /** The pause after a failure. */
  #pausedUntilMs = NEVER
  /** Until when unknown `kid`s have nothing fetched. */
  #coolUntilMs = NEVER

  /** @param random uniform in [0, 1) */
  constructor(policy: RefreshPolicy, random: () => number) {
    this.#policy = policy
    this.#random = random
  }

  /** Whether the last fetch failed. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** Whether there are keys, and they are fresh or at least last known good. */
  isUsable(nowMs: number): boolean {
    return nowMs < this.#usableUntilMs
  }

  /** Until when the keys are used that there are. */
  get usableUntilMs(): number {
    return this.#usableUntilMs
  }

  /** Whether a fetch may begin since somebody shows a `kid` that is not known. Anybody can do that, as often as he likes. */
  mayFetchForUnknown(nowMs: number): boolean {
    return nowMs >= this.#pausedUntilMs && nowMs >= this.#coolUntilMs
  }

  /** When a fetch is due: the keys are not fresh any more, and no pause is on. */
  get dueAtMs(): number {
    return Math.max(this.#freshUntilMs, this.#pausedUntilMs)
  }

  /** When there is something to do next if nobody shows an unknown `kid`: to fetch, or to give the keys up. */
  nextAtMs(nowMs: number): number {
    return this.isUsable(nowMs) ? Math.min(this.dueAtMs, this.#usableUntilMs) : this.dueAtMs
  }

  /** A fetch that began at that time was made, or joined, for an unknown `kid`. */
  coolDown(startedAtMs: number): void {
    this.#coolUntilMs = Math.max(this.#coolUntilMs, startedAtMs + this.#policy.coolDownMs)
  }

  /** @param freshMs how long the answer is fresh, counted from when it was asked for (RFC 9111 §4.2.3) */
  succeeded(startedAtMs: number, nowMs: number, freshMs: number): void {
    this.#failures = 0
    this.#pausedUntilMs = NEVER
    this.#freshUntilMs = Math.max(startedAtMs + freshMs, nowMs + this.#policy.minFreshMs)
    this.#usableUntilMs = this.#freshUntilMs + this.#policy.maxStaleMs
  }

  failed(nowMs: number): void {
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.#failures, 31), this.#policy.coolDownMs)
    this.#failures++
    this.#pausedUntilMs = nowMs + longestMs * (1 - JITTER * this.#random())
  }

  /** When it is worth asking again for a key that could not be had. */
  retryAfterMs(nowMs: number): number {
    const againAtMs = this.isUsable(nowMs) ? Math.max(this.#pausedUntilMs, this.#coolUntilMs) : this.#pausedUntilMs
    return Math.max(0, Math.ceil(againAtMs - nowMs))
  }
}
