import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { type Exchange, warnOnce } from '@postern/contracts'
import { type Scheme, type Soon, type Unavailable, unavailable, type Verdict } from './scheme.ts'

// A scheme must not throw; one of the user's own may, and ends its own request with 503 and no other. These steps neither throw
// nor reject, and nobody gets in by an answer that cannot be read.

export function guardSafely(scheme: Scheme, exchange: Exchange): Unavailable | undefined {
  try {
    scheme.guard!(exchange.request, exchange)
    return undefined
  } catch (error) {
    return threw(scheme, error)
  }
}

export function stripSafely(scheme: Scheme, exchange: Exchange): Unavailable | undefined {
  try {
    scheme.strip(exchange.request, exchange)
    return undefined
  } catch (error) {
    return threw(scheme, error)
  }
}

export function claimantSafely(scheme: Scheme, credentials: string): string | undefined {
  try {
    return scheme.claimant!(credentials)
  } catch (error) {
    threw(scheme, error)
    return undefined
  }
}

export function findSafely(scheme: Scheme, exchange: Exchange): string | Verdict | undefined {
  try {
    const found = scheme.find(exchange.request, exchange)
    return typeof found === 'string' || found === undefined ? found : readVerdict(scheme, found)
  } catch (error) {
    return threw(scheme, error)
  }
}

export function recallSafely(
  scheme: Scheme,
  credentials: string,
  req: IncomingMessage,
): Soon<Verdict | undefined> | undefined {
  try {
    return readSoon(scheme, scheme.recall(credentials, req))
  } catch (error) {
    threw(scheme, error)
    return undefined
  }
}

export function verifySafely(scheme: Scheme, credentials: string, req: IncomingMessage): Soon<Verdict | undefined> {
  try {
    return readSoon(scheme, scheme.verify(credentials, req))
  } catch (error) {
    return threw(scheme, error)
  }
}

function readSoon(scheme: Scheme, verdict: unknown): Soon<Verdict | undefined> {
  if (!isThenable(verdict)) return readVerdict(scheme, verdict)
  return Promise.resolve(verdict).then(
    (later) => readVerdict(scheme, later),
    (error: unknown) => threw(scheme, error),
  )
}

function readVerdict(scheme: Scheme, answer: unknown): Verdict | undefined {
  if (answer === undefined) return undefined
  const verdict = answer as Verdict | null
  switch (verdict?.outcome) {
    case 'refused':
    case 'unavailable':
      return verdict
    case 'verified':
      if (typeof verdict.identity?.subject === 'string') return verdict
      break
    default:
  }
  return threw(scheme, new TypeError('what it returned is no verdict'))
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function threw(scheme: Scheme, error: unknown): Unavailable {
  const message = `the scheme "${scheme.name}" threw, which it never should, and requests got 503: ${inspect(error)}`
  warnOnce('POSTERN_SCHEME_THREW', message, scheme.name)
  return unavailable('scheme-threw', 1_000, error)
}
