import type { JsonAnswer } from '../http-client.ts'
import type { ResolvedTokenExchange } from './exchange-options.ts'

/** What a token endpoint has said. */
export type ExchangeAnswer =
  | {
      readonly outcome: 'exchanged'
      readonly token: string
      /** How long the token holds, in milliseconds; 0 when the server does not say it. */
      readonly lifeMs: number
    }
  | {
      /** This caller gets none: his token, or what was asked for him, is not accepted. */
      readonly outcome: 'denied'
      readonly reason: string
    }
  | {
      /** The server is in trouble, or takes the gateway's request for wrong, whoever it is for. */
      readonly outcome: 'failed'
      readonly reason: string
    }

/** Longest token that is sent on, in characters: longer header fields are refused by many servers. */
export const MAX_TOKEN_LENGTH = 16_384

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** What is asked for every token (RFC 8693 §2.1), the token itself apart. */
export interface ExchangeRequest {
  readonly headers: Readonly<Record<string, string>>
  /** To be followed by the token, form-encoded. */
  readonly bodyStart: string
}

/** Builds the part of the requests that is the same for all tokens. */
export function exchangeRequest(options: ResolvedTokenExchange): ExchangeRequest {
  const { client } = options
  const form = new URLSearchParams({ grant_type: GRANT_TYPE })
  for (const audience of options.audience) form.append('audience', audience)
  for (const resource of options.resource) form.append('resource', resource)
  if (options.scope !== undefined) form.set('scope', options.scope)
  if (options.requestedTokenType !== undefined) form.set('requested_token_type', options.requestedTokenType)
  if (client.method === 'post') {
    form.set('client_id', client.id)
    form.set('client_secret', client.secret)
  }
  form.set('subject_token_type', options.subjectTokenType)
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  }
  if (client.method === 'basic') {
    // RFC 6749 §2.3.1: each half is form-encoded first, so that a colon in it stays what it is.
    const pair = `${formEncoded(client.id)}:${formEncoded(client.secret)}`
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  return { headers, bodyStart: `${form.toString()}&subject_token=` }
}

/** A value as `application/x-www-form-urlencoded` has it. */
export function formEncoded(value: string): string {
  return new URLSearchParams({ v: value }).toString().slice(2)
}

/** Errors that tell of this token or this caller (RFC 8693 §2.2.2, RFC 6749 §5.2), not of the gateway or the server. */
const DENIALS = new Set(['access_denied', 'invalid_grant', 'invalid_request', 'invalid_scope', 'invalid_target'])

/** Reads the answer of a token endpoint (RFC 8693 §2.2). */
export function readExchangeAnswer({ status, body }: Pick<JsonAnswer, 'status' | 'body'>): ExchangeAnswer {
  const members = typeof body === 'object' && body !== null ? (body as Readonly<Record<string, unknown>>) : {}
  if (status !== 200) {
    const { error } = members
    if ((status === 400 || status === 403) && typeof error === 'string' && DENIALS.has(error)) {
      return { outcome: 'denied', reason: error }
    }
    return failed(typeof error === 'string' ? `status ${status}, ${printable(error)}` : `status ${status}`)
  }
  const { access_token: token, token_type: type, expires_in: expiresIn } = members
  // One token68, as Authorization takes it: what is no token must not become a part of a header.
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH || !/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
    return failed('an answer without a token that can be sent on')
  }
  // `N_A`: not an access token, but a token all the same. Any other type asks for a proof that the gateway cannot give.
  if (typeof type !== 'string' || !/^(?:bearer|n_a)$/i.test(type)) return failed('a token that is no bearer token')
  return { outcome: 'exchanged', token, lifeMs: lifeMsOf(expiresIn) }
}

function failed(reason: string): ExchangeAnswer {
  return { outcome: 'failed', reason }
}

/** Some servers write the number as a text. */
function lifeMsOf(expiresIn: unknown): number {
  const seconds = typeof expiresIn === 'string' && /^[0-9]{1,12}$/.test(expiresIn) ? Number(expiresIn) : expiresIn
  return typeof seconds === 'number' && seconds > 0 && Number.isFinite(seconds) ? seconds * 1_000 : 0
}

/** A word of the server's, fit for a log line. */
function printable(word: string): string {
  return word.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}
