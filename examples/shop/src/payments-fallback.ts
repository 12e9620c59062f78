import type { IncomingMessage, ServerResponse } from 'node:http'

const RETRY_AFTER_S = 2

/**
 * Answers in place of payments when they are down, resting or busy. It says that the request charged nothing only where that is
 * known: where no attempt got as far as sending something.
 */
export function paymentsFallback(req: IncomingMessage, res: ServerResponse): void {
  const body = JSON.stringify({ ...whatToSay(req), retryAfterSeconds: RETRY_AFTER_S })
  res.writeHead(503, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'retry-after': String(RETRY_AFTER_S),
  })
  res.end(body)
}

function whatToSay(req: IncomingMessage): { readonly error: string; readonly message: string } {
  const again = `in ${RETRY_AFTER_S} seconds`
  if (req.method !== 'POST') {
    return { error: 'payments_resting', message: `Payments cannot be looked up right now. Try again ${again}.` }
  }
  if (wasSent(req)) {
    return {
      error: 'payment_unknown',
      message: `We lost sight of this payment. Send it again ${again}, with the same Idempotency-Key: you pay once at most.`,
    }
  }
  return {
    error: 'payments_resting',
    message: `Payments are resting, and this request charged nothing. Send it again ${again}, with the same Idempotency-Key.`,
  }
}

/** True when payments may have read the order: an attempt came further than the wait for a connection. */
function wasSent({ gateway: exchange }: IncomingMessage): boolean {
  return exchange?.attempts.some(({ failure }) => failure?.phase !== 'queue' && failure?.phase !== 'connect') ?? false
}
