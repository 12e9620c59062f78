import type { IncomingMessage } from 'node:http'
import { type Clock, ConfigError, faultsOf, type Identity, systemClock } from '@postern/contracts'
import * as v from 'valibot'
import { clockOption, functionOption, milliseconds, nameOption, realmOption } from '../option-parts.ts'
import { plainAddress, plainEmail } from './alternative-names.ts'
import type { ClientCertificate } from './certificate-facts.ts'
import {
  type CertificateField,
  type CertificateHeader,
  certificateFieldOf,
  certificateHeaderOption,
} from './certificate-header.ts'
import type { CertificateRules, NameRule } from './certificate-rules.ts'

/** A distinguished name to compare with: the common name alone, or attributes that must all be there (`{ O: 'Acme', OU: 'billing' }`). */
export type CertificateName = string | Readonly<Record<string, string>>

/** Names beside the subject of which the certificate must have one, of each kind that is given. */
export interface SanOptions {
  /** Case does not matter; `*.example.com` stands for one label in front. */
  readonly dns?: string | readonly string[]
  /** Exact: `spiffe://example.org/billing`. */
  readonly uri?: string | readonly string[]
  /** Exact but for the case of the host. */
  readonly email?: string | readonly string[]
  /** In any of its forms. */
  readonly ip?: string | readonly string[]
}

/**
 * Options of {@link clientCertificate}. Without rules, every certificate that the server's `ca` option (or the trusted proxy)
 * accepts is good. All kinds of rules that are given must be fulfilled; a list, by any of its members.
 */
export interface ClientCertificateOptions {
  /**
   * Where a trusted proxy that ends TLS tells of the client's certificate. Never read of a peer that Express's `trust proxy` does not
   * cover. Of one that it covers nothing else is read: its own certificate never stands for a client's. The proxy must
   * verify certificates, and must remove the header from what clients send. @default false
   */
  readonly header?: CertificateHeader
  /** @default any */
  readonly subject?: CertificateName | readonly CertificateName[]
  /** @default any that the server's `ca` has signed */
  readonly issuer?: CertificateName | readonly CertificateName[]
  /** @default any */
  readonly san?: SanOptions
  /** SHA-256 of certificates, in hex, with colons or without. @default any */
  readonly fingerprints?: string | readonly string[]
  /**
   * What names the caller: the common name, the whole subject as RFC 4514 writes it, the URI or the DNS name beside it, the
   * SHA-256 in hex, or a function. A certificate that has none of it, or several, is refused. @default 'cn'
   */
  readonly subjectFrom?:
    | 'cn'
    | 'dn'
    | 'san-uri'
    | 'san-dns'
    | 'fingerprint'
    | ((certificate: ClientCertificate) => string | undefined)
  /** `identity.roles`. Asked once a certificate within `cacheMs`. @default none */
  readonly roles?: (certificate: ClientCertificate) => readonly string[]
  /** `identity.scopes`. Asked once a certificate within `cacheMs`. @default none */
  readonly scopes?: (certificate: ClientCertificate) => readonly string[]
  /**
   * What `req.user` is, for handlers that know passport; undefined, null or false refuses the certificate. Asked once a
   * certificate within `cacheMs`; may return a promise, whose answer is waited for 5 s. @default the identity
   */
  readonly user?: (identity: Identity, req: IncomingMessage) => unknown
  /**
   * How long it is remembered what the rules and functions said of a certificate, in milliseconds, 0 to 2^31-1; its dates
   * are looked at for every request. @default 60_000
   */
  readonly cacheMs?: number
  /** `realm` of the challenge. @default 'api' */
  readonly realm?: string
  /** `identity.scheme`. @default 'client-certificate' */
  readonly name?: string
  /** Source of time; for tests. @default the process's clocks */
  readonly clock?: Clock
}

/** What {@link resolveClientCertificateOptions} makes of the options. */
export interface ResolvedClientCertificateOptions {
  readonly field: CertificateField | undefined
  readonly rules: CertificateRules
  readonly subjectFrom: NonNullable<ClientCertificateOptions['subjectFrom']>
  readonly roles: ClientCertificateOptions['roles']
  readonly scopes: ClientCertificateOptions['scopes']
  readonly user: ClientCertificateOptions['user']
  readonly cacheMs: number
  readonly realm: string
  readonly name: string
  readonly clock: Clock
}

const text = v.pipe(v.string('not a text'), v.nonEmpty('empty'))

const commonName = v.pipe(
  text,
  v.transform((name): NameRule => new Map([['CN', name]])),
)
const attributes = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z0-9-]*$|^[0-9]+(?:\.[0-9]+)+$/, 'not the short name of an attribute')),
    text,
    'not a common name or an object of attributes',
  ),
  v.check((record) => Object.keys(record).length > 0, 'no attributes'),
  v.transform((record): NameRule => new Map(Object.entries(record))),
)
const nameRule = v.union([commonName, attributes], 'not a common name or an object of attributes')

const dnsName = v.pipe(
  text,
  v.regex(/^(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/, 'not a DNS name, with "*." in front or without'),
  v.transform((name) => name.toLowerCase()),
)
const uri = v.pipe(
  text,
  v.regex(/^[A-Za-z][A-Za-z0-9+.-]*:[^*\s]+$/, 'not a URI; they are compared as they are, without "*"'),
)
const email = v.pipe(
  text,
  v.regex(/^[^@*\s]+@[^@*\s]+$/, 'not an address; they are compared as they are, without "*"'),
  v.transform(plainEmail),
)
const ip = v.pipe(
  text,
  v.check((address) => plainAddress(address) !== undefined, 'not an IP address'),
  v.transform((address) => plainAddress(address)!),
)
const san = v.pipe(
  v.strictObject({ dns: listOf(dnsName), uri: listOf(uri), email: listOf(email), ip: listOf(ip) }, 'not an object'),
  v.check((kinds) => Object.values(kinds).some((list) => list !== undefined), 'no names'),
)
const fingerprint = v.pipe(
  text,
  v.transform((hex) => hex.replaceAll(':', '').toLowerCase()),
  v.regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in hex'),
)

const SUBJECT_SOURCES = ['cn', 'dn', 'san-uri', 'san-dns', 'fingerprint']

const schema = v.strictObject({
  header: certificateHeaderOption,
  subject: listOf(nameRule),
  issuer: listOf(nameRule),
  san: v.optional(san),
  fingerprints: listOf(fingerprint),
  subjectFrom: v.optional(
    v.custom<NonNullable<ClientCertificateOptions['subjectFrom']>>(
      (value) => typeof value === 'function' || SUBJECT_SOURCES.includes(value as string),
      `not one of ${SUBJECT_SOURCES.map((name) => `"${name}"`).join(', ')}, or a function`,
    ),
    'cn',
  ),
  roles: v.optional(functionOption<NonNullable<ClientCertificateOptions['roles']>>()),
  scopes: v.optional(functionOption<NonNullable<ClientCertificateOptions['scopes']>>()),
  user: v.optional(functionOption<NonNullable<ClientCertificateOptions['user']>>()),
  cacheMs: v.optional(milliseconds, 60_000),
  realm: realmOption,
  name: nameOption('client-certificate'),
  clock: clockOption,
})

/**
 * Checks the options and fills the defaults.
 *
 * @throws ConfigError with all faults
 */
export function resolveClientCertificateOptions(
  input: ClientCertificateOptions = {},
): ResolvedClientCertificateOptions {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    const cure = "write clientCertificate() or clientCertificate({ issuer: 'Acme CA' })"
    throw new ConfigError('clientCertificate()', [
      { path: '', message: 'not an options object', received: input, cure },
    ])
  }
  const result = v.safeParse(schema, input)
  if (!result.success) {
    const knownKeys = (path: readonly (string | number)[]) =>
      path.length === 0 ? Object.keys(schema.entries) : path[0] === 'san' ? ['dns', 'uri', 'email', 'ip'] : []
    throw new ConfigError('clientCertificate()', faultsOf(result.issues, knownKeys))
  }
  const { header, subject, issuer, fingerprints, san: names, clock = systemClock, ...rest } = result.output
  return Object.freeze({
    field: certificateFieldOf(header),
    rules: Object.freeze({
      subject,
      issuer,
      san: names && { dns: names.dns, uri: names.uri, email: names.email, ip: names.ip },
      fingerprints: fingerprints && new Set(fingerprints),
    }),
    subjectFrom: rest.subjectFrom,
    roles: rest.roles,
    scopes: rest.scopes,
    user: rest.user,
    cacheMs: rest.cacheMs,
    realm: rest.realm,
    name: rest.name,
    clock,
  })
}

/** One, or a list that is not empty. */
function listOf<Schema extends v.GenericSchema>(each: Schema) {
  return v.optional(
    v.pipe(
      v.unknown(),
      v.transform((value): unknown => (Array.isArray(value) ? value : [value])),
      v.array(each),
      v.minLength(1, 'an empty list'),
    ),
  )
}
