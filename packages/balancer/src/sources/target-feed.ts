import type { TargetInput } from '../target-list.ts'

/** A list of targets, as `targets` and `replace()` take it. */
export type TargetList = readonly TargetInput[]

/**
 * Where targets come from: a list; a function that is asked again and again; or an async iterable of lists, each of which
 * replaces the one before.
 */
export type TargetSource = TargetList | SourceFunction | AsyncIterable<TargetList>

type SourceFunction = (context: { readonly signal: AbortSignal }) => TargetList | Promise<TargetList>

/** A source that goes on giving lists. */
export type LiveSource = Exclude<TargetSource, TargetList>

export interface FeedOptions {
  /** Time between two questions to a function, and the longest wait for its answer. */
  readonly refreshMs: number
  readonly random: () => number
  /** Takes a list. Throws when it cannot be used. */
  readonly onList: (list: TargetList) => void
  /** Told of a list that could not be used, and of a source that failed. */
  readonly onFault: (error: unknown) => void
}

/** Each time between two questions is longer or shorter by up to this share of it. */
const JITTER = 0.2

/** Reads a live source until it is closed. Its timers keep no process alive. */
export class TargetFeed {
  readonly #source: LiveSource
  readonly #options: FeedOptions
  /** The question that waits for its answer; never two at a time. */
  #question: AbortController | undefined = undefined
  #closed = false
  #timer: NodeJS.Timeout | undefined = undefined
  #iterator: AsyncIterator<TargetList> | undefined = undefined

  constructor(source: LiveSource, options: FeedOptions) {
    this.#source = source
    this.#options = options
  }

  /** Begins to read; a function that answers at once has given its first list when this returns. */
  start(): void {
    if (typeof this.#source === 'function') this.#ask(this.#source)
    else void this.#read(this.#source)
  }

  /** Ends it: no more questions, no more lists, and the iterator is told (`return()`). May be called twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    const question = this.#question
    this.#question = undefined
    question?.abort()
    void this.#return()
  }

  /** Tells the iterator that it is over. It may be waiting for its next list for ever: nobody waits for it. */
  async #return(): Promise<void> {
    try {
      await this.#iterator?.return?.()
    } catch {
      // Nobody is left to be told.
    }
  }

  #ask(source: SourceFunction): void {
    const question = new AbortController()
    const onLimit = (): void => {
      this.#answered(question, source, () => {
        throw new Error(`the function took longer than refreshMs (${this.#options.refreshMs} ms)`)
      })
    }
    this.#question = question
    this.#timer = setTimeout(onLimit, this.#options.refreshMs).unref()
    try {
      const answer = source({ signal: question.signal })
      if (!isPromise(answer)) this.#answered(question, source, () => this.#options.onList(answer))
      else {
        answer.then(
          (list) => this.#answered(question, source, () => this.#options.onList(list)),
          (error: unknown) => this.#answered(question, source, () => raise(error)),
        )
      }
    } catch (error) {
      this.#answered(question, source, () => raise(error))
    }
  }

  /** The first that happens to a question counts: its answer, its failure, the end of its time. */
  #answered(question: AbortController, source: SourceFunction, take: () => void): void {
    if (this.#question !== question) return
    this.#question = undefined
    clearTimeout(this.#timer)
    this.#attempt(take)
    question.abort()
    if (this.#closed) return
    const { refreshMs, random } = this.#options
    const delayMs = refreshMs * (1 + JITTER * (2 * random() - 1))
    this.#timer = setTimeout(() => this.#ask(source), Math.min(delayMs, 2 ** 31 - 1)).unref()
  }

  async #read(source: AsyncIterable<TargetList>): Promise<void> {
    try {
      const iterator = source[Symbol.asyncIterator]()
      this.#iterator = iterator
      for (;;) {
        const { done, value } = await iterator.next()
        if (done === true || this.#closed) return
        this.#attempt(() => this.#options.onList(value))
      }
    } catch (error) {
      if (!this.#closed) this.#options.onFault(error)
    }
  }

  #attempt(take: () => void): void {
    try {
      take()
    } catch (error) {
      this.#options.onFault(error)
    }
  }
}

/** Tells a source that goes on giving lists from a list. */
export function isLiveSource(input: unknown): input is LiveSource {
  if (typeof input === 'function') return true
  return typeof input === 'object' && input !== null && Symbol.asyncIterator in input
}

function isPromise<Value>(value: Value | Promise<Value>): value is Promise<Value> {
  return typeof (value as Promise<Value> | undefined)?.then === 'function'
}

function raise(error: unknown): never {
  throw error
}
