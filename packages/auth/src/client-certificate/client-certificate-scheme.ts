import type { IncomingMessage } from 'node:http'
import { type Exchange, type Identity, isPeerTrusted } from '@postern/contracts'
import { LRUCache } from 'lru-cache'
import { bearerChallenge, type ChallengeError } from '../challenge.ts'
import { providerFailed } from '../channels.ts'
import { type Answer, isNow, timedCall } from '../credentials/timed-call.ts'
import {
  identityOf,
  type Refused,
  refused,
  type Scheme,
  type Soon,
  unavailable,
  type Verdict,
  type Verified,
  verified,
} from '../scheme.ts'
import { type ClientCertificate, certificateFacts } from './certificate-facts.ts'
import { CLIENT_CERT_CHAIN } from './certificate-header.ts'
import { brokenRule } from './certificate-rules.ts'
import type { ResolvedClientCertificateOptions } from './options.ts'
import { isAuthorized, isPeerCertificate, peerCertificate } from './peer-certificate.ts'

/** What is known of a certificate; only the time still has to be asked. */
interface Known {
  readonly validFromMs: number
  readonly validToMs: number
  /** Until when the functions need not be asked again, in the clock's monotonic time. */
  readonly untilMs: number
  readonly verdict: Verified | Refused
}

const AMBIGUOUS = refused('ambiguous', { error: 'invalid_request' })
const MALFORMED = refused('malformed')
const UNAUTHORIZED = refused('unauthorized')
const NO_SUBJECT = refused('no-subject')
const NO_USER = refused('no-user')
const EXPIRED = refused('expired')
const NOT_YET_VALID = refused('not-yet-valid')

const USER_TIMEOUT_MS = 5_000

/**
 * Client certificates: of the TLS connection itself, or as a trusted proxy tells of them (RFC 9440). The credentials are the
 * SHA-256 of the certificate, since whoever shows it has proved to hold its key.
 */
export class ClientCertificateScheme implements Scheme {
  readonly name: string
  readonly #options: ResolvedClientCertificateOptions
  /** By SHA-256 of the certificate. */
  readonly #known = new LRUCache<string, Known>({ max: 1_000 })

  constructor(options: ResolvedClientCertificateOptions) {
    this.name = options.name
    this.#options = options
  }

  find(req: IncomingMessage, exchange: Exchange): string | Refused | undefined {
    const { field } = this.#options
    this.guard(req, exchange)
    const found = peerCertificate(req, field)
    if (found === undefined) return undefined
    if (!isPeerCertificate(found)) return found === 'ambiguous' ? AMBIGUOUS : MALFORMED
    return isAuthorized(req, field) ? found.fingerprint : UNAUTHORIZED
  }

  recall(fingerprint: string): Verified | undefined {
    const known = this.#recent(fingerprint)
    if (known === undefined) return undefined
    const verdict = verdictAt(known, this.#options.clock.wallNow())
    return verdict.outcome === 'verified' ? verdict : undefined
  }

  verify(fingerprint: string, req: IncomingMessage): Soon<Verdict> {
    const known = this.#recent(fingerprint)
    return known === undefined ? this.#read(fingerprint, req) : verdictAt(known, this.#options.clock.wallNow())
  }

  challenge(error?: ChallengeError, scope?: string): string {
    return bearerChallenge('ClientCertificate', this.#options.realm, error, scope)
  }

  strip(_req: IncomingMessage, exchange: Exchange): void {
    this.#reserve(exchange)
  }

  /**
   * Keeps what a client writes about certificates from going upstream, where it would be believed: only a trusted proxy's
   * word goes on (RFC 9440 §4). Has to be done for every request, also when another scheme decides.
   */
  guard(req: IncomingMessage, exchange: Exchange): void {
    if (!isPeerTrusted(req)) this.#reserve(exchange)
  }

  #reserve({ outgoing }: Exchange): void {
    outgoing.setReserved('client-cert', undefined)
    outgoing.setReserved(CLIENT_CERT_CHAIN, undefined)
    if (this.#options.field !== undefined) outgoing.setReserved(this.#options.field.name, undefined)
  }

  /** Reads a certificate, and asks the rules and the functions about it. */
  #read(fingerprint: string, req: IncomingMessage): Soon<Verdict> {
    const { field, rules, user } = this.#options
    const found = peerCertificate(req, field)
    // The client has left since: a connection that is closed has no certificate.
    if (!isPeerCertificate(found) || found.fingerprint !== fingerprint) return MALFORMED
    const certificate = certificateFacts(found)
    if (certificate === undefined) return MALFORMED
    const broken = brokenRule(certificate, rules)
    if (broken !== undefined) return this.#remember(certificate, refused(broken))
    let identity: Identity | undefined
    try {
      identity = this.#identityOf(certificate)
    } catch (error) {
      if (providerFailed.hasSubscribers) {
        providerFailed.publish({ provider: 'client-certificate', url: undefined, error })
      }
      return unavailable('function-threw', 1_000, error)
    }
    if (identity === undefined) return this.#remember(certificate, NO_SUBJECT)
    return user === undefined
      ? this.#remember(certificate, verified(identity))
      : this.#withUser(certificate, identity, () => user(identity, req))
  }

  #withUser(certificate: ClientCertificate, identity: Identity, call: () => unknown): Soon<Verdict> {
    const finish = (answer: Answer<unknown>): Verdict => {
      if (answer.failed) return unavailable('user', 1_000, answer.error)
      const { value } = answer
      const isNobody = value === undefined || value === null || value === false
      return this.#remember(certificate, isNobody ? NO_USER : verified(identity, value))
    }
    const answer = timedCall({ provider: 'user', timeoutMs: USER_TIMEOUT_MS, call, read: (value) => value })
    return isNow(answer) ? finish(answer) : answer.then(finish)
  }

  #remember({ fingerprint256, validFrom, validTo }: ClientCertificate, verdict: Verified | Refused): Verdict {
    const { clock, cacheMs } = this.#options
    const known: Known = {
      validFromMs: validFrom.getTime(),
      validToMs: validTo.getTime(),
      untilMs: clock.now() + cacheMs,
      verdict,
    }
    if (cacheMs > 0) this.#known.set(fingerprint256, known)
    return verdictAt(known, clock.wallNow())
  }

  #recent(fingerprint: string): Known | undefined {
    const known = this.#known.get(fingerprint)
    return known !== undefined && this.#options.clock.now() < known.untilMs ? known : undefined
  }

  /** Undefined when it names nobody. @throws what the user's functions throw */
  #identityOf(certificate: ClientCertificate): Identity | undefined {
    const { roles, scopes } = this.#options
    const subject = this.#subjectOf(certificate)
    if (typeof subject !== 'string' || subject === '') return undefined
    return identityOf(this.name, subject, {
      roles: namesFrom(roles?.(certificate), 'roles'),
      scopes: namesFrom(scopes?.(certificate), 'scopes'),
      claims: claimsOf(certificate),
    })
  }

  #subjectOf(certificate: ClientCertificate): string | undefined {
    const { subjectFrom } = this.#options
    const { subject, subjectText, san, fingerprint256 } = certificate
    switch (subjectFrom) {
      case 'cn':
        // Of two common names either could be meant.
        return typeof subject.CN === 'string' ? subject.CN : undefined
      case 'dn':
        return subjectText
      case 'san-uri':
        return soleOf(san.uri)
      case 'san-dns':
        return soleOf(san.dns)
      case 'fingerprint':
        return fingerprint256
      default:
        return subjectFrom(certificate)
    }
  }
}

/** Dates are those of the moment: connections outlive certificates (RFC 5280 §4.1.2.5, both ends included). */
function verdictAt(known: Known, nowMs: number): Verified | Refused {
  if (nowMs < known.validFromMs) return NOT_YET_VALID
  return nowMs > known.validToMs ? EXPIRED : known.verdict
}

/** A text in place of a list would become as many names as it has letters. */
function namesFrom(names: unknown, option: string): readonly string[] | undefined {
  if (names === undefined) return undefined
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
  throw new TypeError(`clientCertificate(): ${option} returned something other than a list of texts`)
}

function soleOf(names: readonly string[]): string | undefined {
  return names.length === 1 ? names[0] : undefined
}

/** Plain data, so that rules find it by path (`subject.O`, `san.uri`); `exp` bounds what is minted for the caller. */
function claimsOf(certificate: ClientCertificate): Identity['claims'] {
  const { subject, issuer, serialNumber, fingerprint256, san, validTo } = certificate
  return Object.freeze({
    subject,
    issuer,
    serialNumber,
    fingerprint256,
    san,
    validTo: validTo.toISOString(),
    exp: Math.floor(validTo.getTime() / 1_000),
  })
}
