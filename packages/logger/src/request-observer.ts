import type { Exchange, ExchangeObserver } from '@postern/contracts'
import { ENTRY_NAMES, type EntrySettings, entryOf, type RequestState } from './entry.ts'
import { failureOf, finalStatus } from './facts.ts'
import { fieldsJson } from './formats/fields.ts'
import { contained, isBoolean } from './hooks.ts'
import { isLevelOrFalse, isOurs, type LogLevel, levelOf } from './level.ts'
import type { ResolvedLoggerOptions } from './options.ts'
import type { Output } from './output/output.ts'
import type { Stats } from './output/stats.ts'
import { messageOf, warn } from './warnings.ts'

export interface ObserverParts {
  readonly options: ResolvedLoggerOptions
  readonly settings: EntrySettings
  readonly output: Output
  readonly stats: Stats
  readonly isoTime: (wallMs: number) => string
  /** What the handler noted when the request came. */
  readonly stateOf: (exchange: Exchange) => RequestState | undefined
}

/** Writes the line of every exchange that is over; one observer serves all requests of a logger. Never throws. */
export class RequestObserver implements ExchangeObserver {
  readonly #parts: ObserverParts

  constructor(parts: ObserverParts) {
    this.#parts = parts
  }

  onExchangeClosed(exchange: Exchange): void {
    try {
      const state = this.#parts.stateOf(exchange)
      if (state !== undefined) this.#log(exchange, state)
    } catch (thrown) {
      this.#parts.stats.lost++
      warn('POSTERN_LOGGER_INTERNAL', messageOf(thrown))
    }
  }

  #log(exchange: Exchange, state: RequestState): void {
    const { options, settings, output, stats, isoTime } = this.#parts
    const { skip, clock } = options
    if (skip !== undefined && contained('skip', skip, exchange, undefined, isBoolean, false, stats)) {
      stats.skipped++
      return
    }
    const status = finalStatus(exchange, state.isUpgrade)
    const level = this.#level(exchange, status)
    if (level === false) {
      stats.skipped++
      return
    }
    if (!this.#isSampled(exchange, status)) {
      stats.sampledOut++
      return
    }
    if (!output.enabled(level)) return
    const totalMs = Math.max(0, clock.now() - state.startedAtMs)
    const entry = entryOf(exchange, state, { status, level, time: isoTime(clock.wallNow()), totalMs }, settings)
    if (options.fields !== undefined && options.format === 'json') entry.fields = this.#fields(exchange, options.fields)
    output.write(entry)
  }

  #level(exchange: Exchange, status: number): LogLevel | false {
    const { options, stats } = this.#parts
    const usual = levelOf(status, exchange.failure, exchange.response.writableFinished)
    if (options.levels === undefined) return usual
    return contained('levels', options.levels, status, exchange, isLevelOrFalse, usual, stats)
  }

  #isSampled(exchange: Exchange, status: number): boolean {
    const { sample, sampleErrors, random } = this.#parts.options
    if (sample === 1) return true
    if (!sampleErrors && (status >= 500 || isOurs(failureOf(exchange)))) return true
    if (typeof sample === 'number') {
      return sample > 0 && contained('random', random, undefined, undefined, isNumber, 0, this.#parts.stats) < sample
    }
    return contained('sample', sample, exchange, undefined, isBoolean, true, this.#parts.stats)
  }

  #fields(exchange: Exchange, fields: (exchange: Exchange) => object | undefined): string | undefined {
    const { settings, stats } = this.#parts
    const json = (asked: Exchange): unknown => {
      const more: unknown = fields(asked)
      if (more === undefined || more === null) return undefined
      // Neither a promise nor a text is the object that was asked for; `contained` tells of it.
      if (typeof more !== 'object') return NOT_FIELDS
      return isPromise(more) ? more : fieldsJson(more, ENTRY_NAMES, settings.redactor)
    }
    return contained('fields', json, exchange, undefined, isTextOrNothing, undefined, stats)
  }
}

const NOT_FIELDS = false

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}

function isPromise(value: object): boolean {
  return typeof (value as { then?: unknown }).then === 'function'
}

function isTextOrNothing(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}
