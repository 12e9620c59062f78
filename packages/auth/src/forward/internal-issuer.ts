import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Identity } from '@postern/contracts'
import { SignJWT } from 'jose'
import type { Soon } from '../scheme.ts'
import { chosenClaims, internalClaims, isUsable, type Life, lifeOf } from './internal-claims.ts'
import {
  type InternalIssuerOptions,
  type ResolvedInternalIssuerOptions,
  resolveInternalIssuerOptions,
  resolveSigningKeys,
} from './issuer-options.ts'
import type { ReadySigningKey, SigningKey } from './signing-keys.ts'

/** A JSON Web Key Set of public keys (RFC 7517 §5). */
export interface JwksDocument {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/** Claims that a token carries beside those of every one: paths into the identity's claims, or claims by name. */
export type ChosenClaims = readonly string[] | Readonly<Record<string, unknown>>

/** Makes the gateway's own short-lived tokens, by which services know who is calling. */
export interface InternalIssuer {
  /** In `iss`. */
  readonly issuer: string
  /** Publishes the public keys: `app.get('/.well-known/jwks.json', issuer.jwks)`. */
  readonly jwks: (req: IncomingMessage, res: ServerResponse) => void
  /** The public keys, the signing one first. */
  jwksDocument(): JwksDocument
  /**
   * A token that says who is calling: `iss`, `aud`, `sub`, `iat`, `exp`, `jti`, `scope` and `roles` where there are any,
   * `scheme`, `sub_id` where the caller's credentials are of an issuer. Remembered for the identity as long as a third of
   * its life is left, so that `jti` names the token, not the request. At once when it is remembered.
   *
   * @throws CredentialsOver, by rejection, when the caller's own credentials have run out
   */
  mint(identity: Identity, audience: string, claims?: ChosenClaims): Soon<string>
  /**
   * Other keys from now on; the first signs. What was signed before is forgotten, and holds with services as long as its key
   * is published.
   *
   * @throws ConfigError with all faults; the keys then stay as they are
   */
  replaceKeys(keys: readonly SigningKey[]): void
}

/** The caller's credentials have run out: an internal token would outlive them. */
export class CredentialsOver extends Error {
  constructor() {
    super('the credentials of the caller have run out')
    this.name = 'CredentialsOver'
  }
}

/** So many tokens are remembered for one identity: audiences times choices of claims. */
const MAX_TOKENS_AN_IDENTITY = 16

interface Minted {
  readonly life: Life
  /** A promise while it is being signed. */
  token: Soon<string>
}

/**
 * An issuer of internal tokens.
 *
 * @throws ConfigError at once, with every fault of the options
 * @see https://www.rfc-editor.org/rfc/rfc7519
 */
export function internalIssuer(options: InternalIssuerOptions): InternalIssuer {
  return new Issuer(resolveInternalIssuerOptions(options))
}

class Issuer implements InternalIssuer {
  readonly issuer: string
  readonly jwks: (req: IncomingMessage, res: ServerResponse) => void
  readonly #options: ResolvedInternalIssuerOptions
  #keys: readonly ReadySigningKey[]
  #remembered = new WeakMap<Identity, Map<string, Minted>>()

  constructor(options: ResolvedInternalIssuerOptions) {
    this.issuer = options.issuer
    this.#options = options
    this.#keys = options.keys
    const maxAge = Math.floor(options.jwksMaxAgeMs / 1_000)
    const freshness = maxAge === 0 ? 'no-cache' : `public, max-age=${maxAge}`
    // The name shows in stacks and in `router.stack`.
    const jwksHandler: InternalIssuer['jwks'] = (req, res) => answerJwks(req, res, this.jwksDocument(), freshness)
    this.jwks = jwksHandler
  }

  jwksDocument(): JwksDocument {
    return { keys: this.#keys.map((key) => key.publicJwk) }
  }

  replaceKeys(keys: readonly SigningKey[]): void {
    this.#keys = resolveSigningKeys(keys)
    this.#remembered = new WeakMap()
  }

  mint(identity: Identity, audience: string, claims?: ChosenClaims): Soon<string> {
    const nowMs = this.#options.clock.wallNow()
    try {
      const key = memoryKey(audience, claims)
      const known = this.#remembered.get(identity)?.get(key)
      if (known !== undefined && isUsable(known.life, nowMs)) return known.token
      const life = lifeOf(identity, nowMs, this.#options.ttlMs)
      if (life === undefined) return Promise.reject(new CredentialsOver())
      return this.#begin(key, { identity, audience, claims, life })
    } catch (error) {
      // Claims that are no JSON.
      return Promise.reject(error)
    }
  }

  #begin(key: string, wanted: Wanted): Promise<string> {
    const token = this.#sign(wanted)
    const minted: Minted = { life: wanted.life, token }
    const tokens = this.#tokensOf(wanted.identity)
    tokens.delete(key)
    if (tokens.size >= MAX_TOKENS_AN_IDENTITY) tokens.delete(tokens.keys().next().value!)
    tokens.set(key, minted)
    token.then(
      (text) => {
        minted.token = text
      },
      () => {
        if (tokens.get(key) === minted) tokens.delete(key)
      },
    )
    return token
  }

  #tokensOf(identity: Identity): Map<string, Minted> {
    let tokens = this.#remembered.get(identity)
    if (tokens === undefined) {
      tokens = new Map()
      this.#remembered.set(identity, tokens)
    }
    return tokens
  }

  #sign({ identity, audience, claims, life }: Wanted): Promise<string> {
    const { kid, algorithm, privateKey } = this.#keys[0]!
    const extra = isPaths(claims) ? chosenClaims(identity, claims) : claims
    const payload = internalClaims(identity, extra)
    payload.iss = this.issuer
    payload.aud = audience
    payload.iat = life.iat
    payload.exp = life.exp
    payload.jti = randomUUID()
    return new SignJWT(payload).setProtectedHeader({ alg: algorithm, kid, typ: this.#options.type }).sign(privateKey)
  }
}

interface Wanted {
  readonly identity: Identity
  readonly audience: string
  readonly claims: ChosenClaims | undefined
  readonly life: Life
}

function isPaths(claims: ChosenClaims | undefined): claims is readonly string[] {
  return Array.isArray(claims)
}

/** JSON says itself where it ends, and never begins with a space: no two choices share a key. */
function memoryKey(audience: string, claims: ChosenClaims | undefined): string {
  return `${claims === undefined ? '' : JSON.stringify(claims)} ${audience}`
}

function answerJwks(req: IncomingMessage, res: ServerResponse, document: JwksDocument, freshness: string): void {
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.writeHead(405, { allow: 'GET, HEAD', 'content-length': 0 }).end()
    return
  }
  const body = JSON.stringify(document)
  // RFC 7517 §8.5.2.
  res.setHeader('content-type', 'application/jwk-set+json')
  res.setHeader('content-length', Buffer.byteLength(body))
  res.setHeader('cache-control', freshness)
  res.statusCode = 200
  res.end(req.method === 'HEAD' ? undefined : body)
}
