import { type JsonAnswer, ProviderError } from '../http-client.ts'
import type { IntrospectionClient } from './options.ts'

/** The part of the requests that is the same for all tokens. */
export interface IntrospectionRequest {
  readonly headers: Readonly<Record<string, string>>
  /** To be followed by the token, form-encoded. */
  readonly bodyStart: string
}

/** Builds what is sent for every token (RFC 7662 §2.1, RFC 6749 §2.3.1). */
export function introspectionRequest(client: Required<IntrospectionClient>): IntrospectionRequest {
  const form = new URLSearchParams({ token_type_hint: 'access_token' })
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' }
  if (client.method === 'post') {
    form.set('client_id', client.id)
    form.set('client_secret', client.secret)
  } else {
    // Each half is form-encoded first, so that a colon in it stays what it is.
    const pair = `${formEncoded(client.id)}:${formEncoded(client.secret)}`
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  return { headers, bodyStart: `${form}&token=` }
}

/** A value as `application/x-www-form-urlencoded` has it. */
export function formEncoded(value: string): string {
  return new URLSearchParams({ v: value }).toString().slice(2)
}

/**
 * What the server says of a token: its members, or undefined for a token that is not active (RFC 7662 §2.2).
 *
 * @param shown the endpoint, for messages
 * @throws ProviderError when it says nothing that can be used; whether the token is good is then not known
 */
export function readIntrospection(answer: JsonAnswer, shown: string): Readonly<Record<string, unknown>> | undefined {
  const { status, body } = answer
  if (status === 401 || status === 403) {
    throw new ProviderError('status', `${shown} answers ${status}: it does not take the gateway's client credentials`, {
      status,
    })
  }
  if (status !== 200) throw new ProviderError('status', `${shown} answers ${status}`, { status })
  // Anything but a plain true or false, "true" as well, comes from a server that means something else.
  if (!isObject(body) || typeof body.active !== 'boolean') {
    throw new ProviderError('unusable', `${shown} does not say whether the token is active`, { status })
  }
  return body.active ? body : undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
