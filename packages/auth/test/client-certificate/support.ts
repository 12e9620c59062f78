import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'

// The kit's certificates have a common name and hosts; the ones here have whatever an authority might sign.

/** A certificate and its private key, both PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

export interface Wanted {
  /** Attributes in their order; an object identifier in place of a name is taken as it is. */
  readonly subject?: readonly (readonly [attribute: string, value: string])[]
  /** Kind and value in turn. */
  readonly san?: readonly (readonly [kind: 'dns' | 'uri' | 'email' | 'ip', value: string | Uint8Array])[]
  readonly fromMs?: number
  readonly toMs?: number
}

export interface Authority extends Pair {
  issue(wanted?: Wanted): Pair
}

const DAY_MS = 86_400_000
const OIDS: Readonly<Record<string, string>> = { CN: '2.5.4.3', O: '2.5.4.10', OU: '2.5.4.11' }
const KINDS = { email: 1, dns: 2, uri: 6, ip: 7 } as const

export function authority(name = 'Test CA'): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = [['CN', name]] as const
  return {
    cert: certificate({ subject: issuer }, own.publicKey, issuer, own.privateKey, true),
    key: pem(own.privateKey),
    issue(wanted = {}) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return { cert: certificate(wanted, pair.publicKey, issuer, own.privateKey), key: pem(pair.privateKey) }
    },
  }
}

/** The DER of a PEM certificate. */
export function derOf(cert: string): Buffer {
  return new X509Certificate(cert).raw
}

function certificate(
  wanted: Wanted,
  publicKey: KeyObject,
  issuer: NonNullable<Wanted['subject']>,
  signer: KeyObject,
  isAuthority = false,
): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'))
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x01
  const now = Date.now()
  const extensions = [extension('2.5.29.19', isAuthority ? sequence(tlv(0x01, Buffer.of(0xff))) : sequence())]
  if (wanted.san !== undefined) {
    const names = wanted.san.map(([kind, value]) => tlv(0x80 | KINDS[kind], Buffer.from(value as string)))
    extensions.push(extension('2.5.29.17', sequence(...names)))
  }
  const toBeSigned = sequence(
    tlv(0xa0, tlv(0x02, Buffer.of(2))),
    tlv(0x02, serial),
    algorithm,
    distinguishedName(issuer),
    sequence(time(wanted.fromMs ?? now - DAY_MS), time(wanted.toMs ?? now + 30 * DAY_MS)),
    distinguishedName(wanted.subject ?? []),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  )
  const signature = tlv(0x03, Buffer.concat([Buffer.of(0), sign('sha256', toBeSigned, signer)]))
  const lines = sequence(toBeSigned, algorithm, signature)
    .toString('base64')
    .match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function distinguishedName(attributes: NonNullable<Wanted['subject']>): Buffer {
  return sequence(
    ...attributes.map(([name, value]) => tlv(0x31, sequence(oid(OIDS[name] ?? name), tlv(0x0c, Buffer.from(value))))),
  )
}

function extension(identifier: string, value: Buffer): Buffer {
  return sequence(oid(identifier), tlv(0x04, value))
}

function time(ms: number): Buffer {
  return tlv(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`))
}

function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number)
  const bytes = [first! * 40 + second!]
  for (const arc of rest) {
    const group = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) group.unshift(0x80 | (left & 0x7f))
    bytes.push(...group)
  }
  return tlv(0x06, Buffer.from(bytes))
}

function sequence(...parts: Uint8Array[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function tlv(tag: number, value: Uint8Array): Buffer {
  const length: number[] = []
  if (value.length < 0x80) length.push(value.length)
  else {
    for (let rest = value.length; rest > 0; rest >>= 8) length.unshift(rest & 0xff)
    length.unshift(0x80 | length.length)
  }
  return Buffer.concat([Buffer.of(tag, ...length), value])
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}
