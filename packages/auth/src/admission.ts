import type { IncomingMessage } from 'node:http'
import type { Exchange, ExchangeObserver } from '@postern/contracts'
import type { Scheme, Verified } from './scheme.ts'

/** What `authenticate()` leaves on a request for the stages of this package behind it; one object for many requests. */
export interface Admission {
  /** The scheme that verified the identity (`exchange.identity`); undefined for a caller who stays anonymous. */
  readonly scheme: Scheme | undefined
  /** Schemes by which a caller may say who he is: for the challenges of a 401. */
  readonly schemes: readonly Scheme[]
}

const ADMISSION = Symbol.for('postern.admission')

type Admitted = IncomingMessage & { [ADMISSION]?: Admission; user?: unknown }

/** What `authenticate()` found; undefined when none stands before. */
export function admissionOf(req: IncomingMessage): Admission | undefined {
  return (req as Admitted)[ADMISSION]
}

/** Notes who is calling, where stages of all packages, and handlers that know passport, look for it. */
export function admit(exchange: Exchange, admission: Admission, verified: Verified | undefined): void {
  const req = exchange.request as Admitted
  req[ADMISSION] = admission
  if (verified === undefined) return
  exchange.identity = verified.identity
  req.user = verified.user
}

const NOBODY: ExchangeObserver = { onExchangeClosed() {} }

/** Before a wait: an exchange that nobody watches does not notice that its client has left. */
export function watch(exchange: Exchange): void {
  exchange.observe(NOBODY)
}
