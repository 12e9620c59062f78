import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'
import * as der from './der.ts'

/** A certificate and its private key, both PEM. */
export interface KeyAndCertificate {
  readonly cert: string
  readonly key: string
}

/** Everything that a test of TLS needs. Made anew in each process, never written to a disk. */
export interface Certificates {
  /** The authority; give `ca.cert` to whoever shall trust the others. */
  readonly ca: KeyAndCertificate
  /** For `localhost` and 127.0.0.1. */
  readonly server: KeyAndCertificate
  /** For mutual TLS: common name `test-client`. */
  readonly client: KeyAndCertificate
  /** For `localhost` and 127.0.0.1, but it ran out yesterday. */
  readonly expired: KeyAndCertificate
  /** Signed by the authority, but for `elsewhere.test`. */
  readonly wrongHost: KeyAndCertificate
  /** For `localhost` and 127.0.0.1, signed by nobody but itself. */
  readonly selfSigned: KeyAndCertificate
  /** A client certificate that the authority has not signed. */
  readonly strangeClient: KeyAndCertificate
}

const DAY_MS = 86_400_000
const LOCAL = ['localhost', '127.0.0.1']
let made: Certificates | undefined

/** Certificates of this process (ECDSA P-256), made on the first call. */
export function certificates(): Certificates {
  made ??= makeCertificates()
  return made
}

interface Issuer {
  readonly name: string
  readonly key: KeyObject
}

interface Wanted {
  readonly name: string
  readonly hosts?: readonly string[]
  readonly authority?: boolean
  readonly use?: 'server' | 'client'
  readonly fromMs?: number
  readonly toMs?: number
}

function makeCertificates(): Certificates {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer: Issuer = { name: 'Postern Test CA', key: authority.privateKey }
  const signed = (wanted: Wanted): KeyAndCertificate => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { cert: certificate(wanted, pair.publicKey, issuer), key: pem(pair.privateKey) }
  }
  const selfSigned = (wanted: Wanted): KeyAndCertificate => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      cert: certificate(wanted, pair.publicKey, { name: wanted.name, key: pair.privateKey }),
      key: pem(pair.privateKey),
    }
  }
  return {
    ca: {
      cert: certificate({ name: issuer.name, authority: true }, authority.publicKey, issuer),
      key: pem(authority.privateKey),
    },
    server: signed({ name: 'localhost', hosts: LOCAL, use: 'server' }),
    client: signed({ name: 'test-client', use: 'client' }),
    expired: signed({ name: 'localhost', hosts: LOCAL, use: 'server', fromMs: -30 * DAY_MS, toMs: -DAY_MS }),
    wrongHost: signed({ name: 'elsewhere.test', hosts: ['elsewhere.test'], use: 'server' }),
    selfSigned: selfSigned({ name: 'localhost', hosts: LOCAL, use: 'server' }),
    strangeClient: selfSigned({ name: 'strange-client', use: 'client' }),
  }
}

/** One X.509 v3 certificate (RFC 5280 §4.1), signed with ECDSA and SHA-256. */
function certificate(wanted: Wanted, publicKey: KeyObject, issuer: Issuer): string {
  const algorithm = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2'))
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x01
  const now = Date.now()
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.of(2))),
    der.integer(serial),
    algorithm,
    commonName(issuer.name),
    der.sequence(
      der.utcTime(new Date(now + (wanted.fromMs ?? -DAY_MS))),
      der.utcTime(new Date(now + (wanted.toMs ?? 30 * DAY_MS))),
    ),
    commonName(wanted.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions(wanted))),
  )
  const signature = sign('sha256', toBeSigned, issuer.key)
  const whole = der.sequence(toBeSigned, algorithm, der.bitString(signature))
  const lines = whole.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function commonName(name: string): Buffer {
  return der.sequence(der.set(der.sequence(der.objectIdentifier('2.5.4.3'), der.utf8String(name))))
}

function extensions(wanted: Wanted): Buffer[] {
  const list = [
    extension('2.5.29.19', true, wanted.authority === true ? der.sequence(der.boolean(true)) : der.sequence()),
    // keyCertSign and cRLSign for the authority, digitalSignature for the others.
    extension(
      '2.5.29.15',
      true,
      wanted.authority === true ? der.bitString(Buffer.of(0x06), 1) : der.bitString(Buffer.of(0x80), 7),
    ),
  ]
  if (wanted.use !== undefined) {
    const purpose = wanted.use === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2'
    list.push(extension('2.5.29.37', false, der.sequence(der.objectIdentifier(purpose))))
  }
  if (wanted.hosts !== undefined) {
    const names = wanted.hosts.map((host) =>
      isIPv4(host) ? der.implicit(7, Buffer.from(host.split('.').map(Number))) : der.implicit(2, Buffer.from(host)),
    )
    list.push(extension('2.5.29.17', false, der.sequence(...names)))
  }
  return list
}

function extension(identifier: string, critical: boolean, value: Buffer): Buffer {
  const name = der.objectIdentifier(identifier)
  return critical
    ? der.sequence(name, der.boolean(true), der.octetString(value))
    : der.sequence(name, der.octetString(value))
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}
