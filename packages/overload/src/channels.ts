import { channel, type Exchange, type TypedChannel } from '@postern/contracts'
import type { RefusalReason } from './bulkhead/limiter.ts'
import type { Priority } from './shedder/priority.ts'

/** The message of {@link bulkheadRejected}. */
export interface BulkheadRejection {
  /** The `name` option of the bulkhead. */
  readonly bulkhead: string
  readonly exchange: Exchange
  readonly reason: RefusalReason
  /** Milliseconds that it had waited. */
  readonly waitedMs: number
}

/** Published when a bulkhead refuses an exchange; before it is answered. */
export const bulkheadRejected: TypedChannel<BulkheadRejection> = channel<BulkheadRejection>('postern:bulkhead:rejected')

/** The message of {@link limitChanged}. */
export interface LimitChange {
  /** The `name` option of the bulkhead. */
  readonly bulkhead: string
  readonly limit: number
  readonly previousLimit: number
}

/** Published when the limit of a bulkhead is another: it adapted, was held low to measure, or was set by hand. */
export const limitChanged: TypedChannel<LimitChange> = channel<LimitChange>('postern:limit:changed')

/** The message of {@link requestShed}. */
export interface ShedRequest {
  /** The `name` option of the shedder. */
  readonly shedder: string
  readonly exchange: Exchange
  readonly priority: Priority
  /** Which of the two limits was nearer to being reached. */
  readonly cause: 'in_flight' | 'event_loop_delay'
}

/** Published when a shedder refuses a request; before it is answered. */
export const requestShed: TypedChannel<ShedRequest> = channel<ShedRequest>('postern:request:shed')
