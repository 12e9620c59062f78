import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import {
  type Exchange,
  type ExchangeObserver,
  failExchange,
  type Identity,
  type OutgoingEdits,
  warnOnce,
} from '@postern/contracts'
import { type Admission, admissionOf, watch } from '../admission.ts'
import { bearerChallenge } from '../challenge.ts'
import { identityRefused } from '../channels.ts'
import { ProviderError } from '../http-client.ts'
import { problem } from '../problems.ts'
import type { Soon } from '../scheme.ts'
import { MAX_TOKEN_LENGTH } from './exchange-messages.ts'
import { IdentityHeaders } from './identity-headers.ts'
import { CredentialsOver } from './internal-issuer.ts'
import type { ResolvedForwardIdentity, ResolvedInternalToken } from './options.ts'
import { type Refusal, refusal } from './refusal.ts'
import { TokenExchange } from './token-exchange.ts'

/** One request on its way. */
export interface Passage {
  readonly exchange: Exchange
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly next: (error?: unknown) => void
}

/** A token, or why there is none; undefined where none is wanted. */
type Produced = string | Refusal | undefined

/** Puts identities on their way upstream. */
export class Forwarder {
  readonly #options: ResolvedForwardIdentity
  readonly #headers: IdentityHeaders
  readonly #exchange: TokenExchange | undefined
  readonly #warned = new Set<string>()

  constructor(options: ResolvedForwardIdentity) {
    this.#options = options
    this.#headers = new IdentityHeaders(options.headers)
    this.#exchange = options.exchange === undefined ? undefined : new TokenExchange(options.exchange, options.clock)
  }

  /** Removes what the client may have forged, sets what is known, and goes on; or ends the exchange. */
  forward(passage: Passage): void {
    const { exchange, req, res, next } = passage
    const { identity } = exchange
    const admission = admissionOf(req)
    if (this.#options.dropsCredentials) dropCredentials(exchange, admission)
    for (const name of this.#options.reserved) exchange.outgoing.setReserved(name, undefined)
    if (identity === undefined) {
      if (admission === undefined) exchange.observe(MISPLACED)
      next()
      return
    }
    const lines = this.#headers.of(identity, req)
    if (!isLines(lines)) {
      this.#refuse(passage, admission, lines)
      return
    }
    const { token, exchange: exchanged } = this.#options
    const minted = token === undefined ? undefined : mintedFor(token, exchange, identity)
    const given = exchanged === undefined ? undefined : this.#exchangedFor(exchange, admission, exchanged.schemes)
    // What is remembered costs no promise.
    if (minted instanceof Promise || given instanceof Promise) {
      watch(exchange)
      void Promise.all([minted, given]).then((tokens) => {
        // The client may have left meanwhile, or a limit of time may have ended the exchange.
        if (!exchange.closed && !res.headersSent) this.#send(passage, admission, lines, tokens)
      })
    } else this.#send(passage, admission, lines, [minted, given])
  }

  #send(
    passage: Passage,
    admission: Admission | undefined,
    lines: readonly string[],
    [minted, given]: readonly [Produced, Produced],
  ): void {
    const refused = typeof minted === 'object' ? minted : given
    if (typeof refused === 'object') {
      this.#refuse(passage, admission, refused)
      return
    }
    const { outgoing } = passage.exchange
    for (let i = 0; i < lines.length; i += 2) {
      outgoing.editRequestHeader({ op: 'set', name: lines[i]!, value: lines[i + 1]! })
    }
    const { token, exchange: exchanged } = this.#options
    if (token !== undefined) setToken(outgoing, token.header, minted as string)
    if (exchanged !== undefined) setToken(outgoing, exchanged.header, given as string)
    passage.next()
  }

  close(): void {
    this.#exchange?.close()
  }

  /** The client's token is read again where its scheme had found it; credentials of other schemes go to no server. */
  #exchangedFor(
    exchange: Exchange,
    admission: Admission | undefined,
    schemes: ReadonlySet<string>,
  ): Soon<string | Refusal> {
    const scheme = admission?.scheme
    if (scheme === undefined || !schemes.has(scheme.name)) {
      const name = scheme?.name ?? 'another stage'
      warnOnce(
        'POSTERN_EXCHANGE_WITHOUT_TOKEN',
        `${this.#options.name}: callers whom ${name} has verified have no token that could be exchanged, and are refused. Where their credentials are tokens of that server, name their scheme in exchange.schemes.`,
        name,
      )
      return NO_TOKEN
    }
    const found = scheme.find(exchange.request, exchange)
    return typeof found === 'string' ? this.#exchange!.exchange(found) : NO_TOKEN
  }

  /** Once of each function among the options that fails; providers have a channel of their own. */
  #warnOf({ message, cause }: Refusal): void {
    if (cause === undefined || cause instanceof ProviderError || this.#warned.has(message)) return
    this.#warned.add(message)
    const { name } = this.#options
    warnOnce(
      'POSTERN_FORWARD_OPTION_FAILED',
      `${name}: ${message}, and callers are refused: ${inspect(cause)}`,
      `${name} ${message}`,
    )
  }

  #refuse({ exchange, req, res, next }: Passage, admission: Admission | undefined, refused: Refusal): void {
    const { message, cause } = refused
    const headers: Record<string, string> = {}
    if (refused.problem === 'identity_unavailable') headers['retry-after'] = '1'
    if (refused.problem === 'invalid_credentials') {
      // RFC 9110 §11.6.1: a 401 always carries a challenge.
      headers['www-authenticate'] =
        admission?.scheme?.challenge('invalid_token') ?? bearerChallenge('Bearer', 'api', 'invalid_token')
    }
    if (refused.problem === 'identity_unavailable') this.#warnOf(refused)
    const error = problem(refused.problem, { message: `${this.#options.name}: ${message}`, headers, cause })
    if (error.status < 500 && identityRefused.hasSubscribers) {
      const scheme = exchange.identity?.scheme
      identityRefused.publish({ exchange, scheme, reason: refused.reason, status: error.status })
    }
    failExchange(req, res, error, this.#options.errors, next)
  }
}

/**
 * Of every scheme, also those that were not asked: a second credential must not slip through beside the first. Goes in
 * front of all edits that stages before have made, such as another handler's token in the same header.
 */
function dropCredentials(exchange: Exchange, admission: Admission | undefined): void {
  const { request, outgoing } = exchange
  const before = outgoing.requestHeaders
  outgoing.requestHeaders = undefined
  if (admission !== undefined) for (const scheme of admission.schemes) scheme.strip(request, exchange)
  // An identity of somebody else's making: where its credentials stand is not known, but where they do as a rule.
  else outgoing.editRequestHeader({ op: 'remove', name: 'authorization' })
  if (before !== undefined) outgoing.requestHeaders = [...(outgoing.requestHeaders ?? []), ...before]
}

/** Never rejects. */
function mintedFor(
  { issuer, audience, claims }: ResolvedInternalToken,
  exchange: Exchange,
  identity: Identity,
): Soon<string | Refusal> {
  try {
    const chosen = typeof claims === 'function' ? checkedClaims(claims(identity, exchange.request)) : claims
    const minted = issuer.mint(identity, audience, chosen)
    return typeof minted === 'string' ? fitting(minted) : minted.then(fitting, mintRefusal)
  } catch (error) {
    return mintRefusal(error)
  }
}

function checkedClaims(value: unknown): Readonly<Record<string, unknown>> {
  if (value instanceof Promise) value.catch(() => {})
  else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw new TypeError('the function `claims` has returned no object')
}

function fitting(token: string): string | Refusal {
  return token.length > MAX_TOKEN_LENGTH ? HUGE_TOKEN : token
}

function mintRefusal(error: unknown): Refusal {
  return error instanceof CredentialsOver
    ? OVER
    : refusal('identity_unavailable', 'token-failed', 'no token can be made', error)
}

function setToken(outgoing: OutgoingEdits, name: string, token: string): void {
  const value = name === 'authorization' ? `Bearer ${token}` : token
  outgoing.editRequestHeader({ op: 'set', name, value })
}

function isLines(lines: readonly string[] | Refusal): lines is readonly string[] {
  return Array.isArray(lines)
}

const OVER = refusal('invalid_credentials', 'expired', 'the credentials of the caller have run out')
const NO_TOKEN = refusal('access_denied', 'no-token', 'the caller has no token that could be exchanged')
const HUGE_TOKEN = refusal('access_denied', 'token-too-long', `the token is longer than ${MAX_TOKEN_LENGTH} characters`)

/** An identity that comes only after the stage that is to forward it says that the two stand in the wrong order. */
const MISPLACED: ExchangeObserver = {
  onExchangeClosed(exchange: Exchange): void {
    if (exchange.identity === undefined) return
    warnOnce(
      'POSTERN_FORWARD_BEFORE_AUTHENTICATE',
      'forwardIdentity() stands before authenticate(): the upstream is told of no identity. Mount it behind.',
    )
  },
}
