import type { Writable } from 'node:stream'
import { messageOf, warn } from '../warnings.ts'
import { flushAtExit, noFlushAtExit } from './exit.ts'
import type { Stats } from './stats.ts'

export interface BatchWriterOptions {
  readonly stream: Writable
  /** Longest time that a line waits for others, in milliseconds. */
  readonly flushIntervalMs: number
  /** Bytes of lines that may wait, those in the stream's own hands included; more are dropped. */
  readonly maxBufferBytes: number
  readonly stats: Stats
}

/** A batch of this size does not wait for its timer. */
const FULL_BATCH_BYTES = 65_536
/** How long `flush()` waits for an output that does not answer. */
const FLUSH_PATIENCE_MS = 2000

interface Waiter {
  /** Number of lines that have to be settled. */
  readonly until: number
  readonly resolve: () => void
  readonly timer: NodeJS.Timeout
}

/**
 * Writes lines to a stream, many with one write, in order, one write at a time. Never throws and never blocks: when the
 * stream fails, its lines are counted as lost and the next batch is tried again; when it stalls, lines are dropped and
 * counted once the bound is reached.
 */
export class BatchWriter {
  readonly #options: BatchWriterOptions
  #text = ''
  #bytes = 0
  #lines = 0
  #bytesInFlight = 0
  #isWriting = false
  #isClosed = false
  #hasFailed = false
  #timer: NodeJS.Timeout | undefined = undefined
  /** Lines taken, and lines of which the fate is known, since the start. */
  #taken = 0
  #settled = 0
  #waiters: Waiter[] = []

  constructor(options: BatchWriterOptions) {
    this.#options = options
    guard(options.stream)
  }

  /** Takes one line, without its end. */
  write(line: string): void {
    const { maxBufferBytes, stats } = this.#options
    const bytes = Buffer.byteLength(line) + 1
    if (this.#isClosed) {
      stats.lost++
      return
    }
    if (this.#bytes + this.#bytesInFlight + bytes > maxBufferBytes) {
      stats.lost++
      warn('POSTERN_LOGGER_OUTPUT_SLOW')
      return
    }
    this.#text += `${line}\n`
    this.#bytes += bytes
    this.#lines++
    this.#taken++
    if (this.#lines === 1) flushAtExit(this)
    if (this.#isWriting) return
    if (this.#bytes >= FULL_BATCH_BYTES) this.#send()
    else if (this.#timer === undefined) this.#schedule()
  }

  /** Resolves when the fate of every line taken so far is known; after two seconds at the latest. Never rejects. */
  flush(): Promise<void> {
    if (this.#settled === this.#taken) return Promise.resolve()
    const done = new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((waiter) => waiter.timer !== timer)
        resolve()
      }, FLUSH_PATIENCE_MS)
      this.#waiters.push({ until: this.#taken, resolve, timer })
    })
    if (!this.#isWriting) this.#send()
    return done
  }

  /** Hands over what waits, at once; for a process that is about to end. */
  flushNow(): void {
    if (this.#lines > 0) this.#send()
  }

  /** Flushes, then lets go of the stream, which stays open. Later lines are lost. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.flush()
    this.#stopTimer()
    noFlushAtExit(this)
    // What an unresponsive stream still holds back is given up.
    this.#options.stats.lost += this.#taken - this.#settled
    this.#settled = this.#taken
    this.#text = ''
    this.#lines = 0
    // A stream that failed or still holds a batch may emit its `error` at any later time.
    if (!this.#hasFailed && !this.#isWriting) setImmediate(unguard, this.#options.stream).unref()
  }

  #schedule(): void {
    this.#timer = setTimeout(() => this.#send(), this.#options.flushIntervalMs).unref()
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #send(): void {
    this.#stopTimer()
    const text = this.#text
    const lines = this.#lines
    if (lines === 0) return
    const bytes = this.#bytes
    this.#text = ''
    this.#lines = 0
    this.#bytes = 0
    this.#bytesInFlight += bytes
    this.#isWriting = true
    let isSettled = false
    const settle = (error?: Error | null): void => {
      // A stream of the app's own may call back twice, or throw after it called back.
      if (isSettled) return
      isSettled = true
      this.#bytesInFlight -= bytes
      this.#isWriting = this.#bytesInFlight > 0
      this.#settle(lines, error)
    }
    const { stream } = this.#options
    if (stream.writable === false || stream.errored) {
      // Such a stream may keep a write for ever without a word.
      settle(stream.errored ?? new Error('the stream is not writable any more'))
      return
    }
    try {
      stream.write(text, 'utf8', settle)
    } catch (thrown) {
      settle(thrown instanceof Error ? thrown : new Error(messageOf(thrown)))
    }
  }

  #settle(lines: number, error: Error | null | undefined): void {
    const { stats } = this.#options
    if (error != null) this.#hasFailed = true
    // After close() these lines have been given up and counted already.
    if (this.#settled < this.#taken) {
      this.#settled += lines
      if (error == null) stats.written += lines
      else {
        stats.lost += lines
        warn('POSTERN_LOGGER_OUTPUT_FAILED', messageOf(error))
      }
    }
    if (this.#waiters.length > 0) this.#wake()
    if (this.#lines === 0) {
      noFlushAtExit(this)
    } else if (!this.#isWriting && this.#timer === undefined) {
      // After an error the timer sets the pace, so that a broken output is not tried in a circle.
      if (error == null && (this.#waiters.length > 0 || this.#bytes >= FULL_BATCH_BYTES)) this.#send()
      else this.#schedule()
    }
  }

  #wake(): void {
    const waiting: Waiter[] = []
    for (const waiter of this.#waiters) {
      if (this.#settled < waiter.until) {
        waiting.push(waiter)
        continue
      }
      clearTimeout(waiter.timer)
      waiter.resolve()
    }
    this.#waiters = waiting
  }
}

/** Number of writers on each stream; all of them share one listener. */
const guarded = new WeakMap<Writable, number>()

/** An `error` event without a listener would end the process; the write's own callback tells us what went wrong. */
function ignoreError(): void {}

function guard(stream: Writable): void {
  const writers = guarded.get(stream) ?? 0
  if (writers === 0) stream.on('error', ignoreError)
  guarded.set(stream, writers + 1)
}

function unguard(stream: Writable): void {
  const writers = (guarded.get(stream) ?? 1) - 1
  guarded.set(stream, writers)
  if (writers === 0) stream.off('error', ignoreError)
}
