import type { IncomingMessage, ServerResponse } from 'node:http'
import { exchangeOf, type Identity } from '@postern/contracts'
import type { Scheme, Verified } from './scheme.ts'

/** What `authenticate()` leaves on a request for the stages of this package behind it. */
export interface Admission {
  /** Undefined for a caller who stays anonymous. */
  readonly identity: Identity | undefined
  /** The scheme that verified the identity. */
  readonly scheme: Scheme | undefined
  /** Schemes by which a caller may say who he is: for the challenges of a 401. */
  readonly schemes: readonly Scheme[]
}

const ADMISSION = Symbol.for('postern.admission')

type Admitted = IncomingMessage & { [ADMISSION]?: Admission }

/** What `authenticate()` found; undefined when none stands before. */
export function admissionOf(req: IncomingMessage): Admission | undefined {
  return (req as Admitted)[ADMISSION]
}

/** Notes who is calling, where stages of all packages and passport's users look for it. */
export function admit(req: IncomingMessage, res: ServerResponse, admission: Admission, verified?: Verified): void {
  ;(req as Admitted)[ADMISSION] = admission
  if (verified === undefined) return
  exchangeOf(req, res).identity = verified.identity
  ;(req as { user?: unknown }).user = verified.user
}
