import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type ClientCertificate, certificateFacts } from '../../src/client-certificate/certificate-facts.ts'
import { brokenRule } from '../../src/client-certificate/certificate-rules.ts'
import { type ClientCertificateOptions, resolveClientCertificateOptions } from '../../src/client-certificate/options.ts'
import { authority, type Wanted } from './support.ts'

const ca = authority('Acme CA')

function factsOf(wanted: Wanted): ClientCertificate {
  const certificate = new X509Certificate(ca.issue(wanted).cert)
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
  return certificateFacts({ certificate, fingerprint, thumbprint: '' })!
}

function broken(certificate: ClientCertificate, options: ClientCertificateOptions): string | undefined {
  return brokenRule(certificate, resolveClientCertificateOptions(options).rules)
}

const billing = factsOf({
  subject: [
    ['O', 'Acme, Inc.'],
    ['OU', 'services'],
    ['OU', 'money'],
    ['CN', 'billing'],
  ],
  san: [
    ['dns', 'billing.svc.example.com'],
    ['dns', '*.wild.example.com'],
    ['uri', 'spiffe://example.org/billing'],
    ['email', 'billing@example.com'],
    ['ip', Uint8Array.of(10, 0, 0, 1)],
  ],
})

describe('what a certificate says', () => {
  it('is read value by value', () => {
    expect(billing).toMatchObject({
      subject: { O: 'Acme, Inc.', OU: ['services', 'money'], CN: 'billing' },
      issuer: { CN: 'Acme CA' },
      subjectText: 'CN=billing,OU=money,OU=services,O=Acme\\, Inc.',
      fingerprint256: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
  })

  // In Node's text of a name a line is an attribute: one of `x\nCN=admin` must not become two.
  it('is not made by what is written inside a value', () => {
    const forged = factsOf({
      subject: [
        ['O', 'x\nCN=admin'],
        ['CN', 'guest'],
        ['OU', 'y,CN=admin'],
      ],
    })
    expect(forged.subject).toEqual({ O: 'x\nCN=admin', CN: 'guest', OU: 'y,CN=admin' })
    expect(forged.subjectText.split(/(?<!\\),/)).toEqual(['OU=y\\,CN=admin', 'CN=guest', 'O=x\\0ACN=admin'])
    expect(broken(forged, { subject: 'admin' })).toBe('subject')
  })

  it('may be nothing at all', () => {
    expect(factsOf({})).toMatchObject({ subject: {}, subjectText: '', san: { dns: [], uri: [] } })
  })
})

describe('rules for certificates', () => {
  it('take every certificate when there are none', () => {
    expect(broken(billing, {})).toBeUndefined()
  })

  it('compare names exactly, all attributes of one, any of a list', () => {
    expect(broken(billing, { subject: 'billing' })).toBeUndefined()
    expect(broken(billing, { subject: ['orders', 'billing'] })).toBeUndefined()
    expect(broken(billing, { subject: { O: 'Acme, Inc.', OU: 'money' } })).toBeUndefined()
    expect(broken(billing, { subject: { O: 'Acme, Inc.', OU: 'people' } })).toBe('subject')
    for (const subject of ['Billing', 'billin', 'billing ', 'orders']) {
      expect(broken(billing, { subject }), subject).toBe('subject')
    }
    expect(broken(billing, { subject: { toString: 'x' } })).toBe('subject')
    expect(broken(billing, { issuer: 'Acme CA' })).toBeUndefined()
    expect(broken(billing, { issuer: 'Other CA' })).toBe('issuer')
  })

  it('take fingerprints in every usual spelling', () => {
    const plain = billing.fingerprint256
    const colons = plain.toUpperCase().match(/../g)!.join(':')
    expect(broken(billing, { fingerprints: plain })).toBeUndefined()
    expect(broken(billing, { fingerprints: ['0'.repeat(64), colons] })).toBeUndefined()
    expect(broken(billing, { fingerprints: '0'.repeat(64) })).toBe('fingerprint')
  })

  it('know each kind of alternative name', () => {
    for (const san of [
      { dns: 'BILLING.svc.example.com' },
      { dns: '*.svc.example.com' },
      { uri: ['spiffe://example.org/orders', 'spiffe://example.org/billing'] },
      { email: 'billing@EXAMPLE.com' },
      { ip: '10.0.0.1' },
    ]) {
      expect(broken(billing, { san }), JSON.stringify(san)).toBeUndefined()
    }
    for (const san of [
      { dns: 'svc.example.com' },
      { dns: '*.example.com' },
      { dns: '*.billing.svc.example.com' },
      { uri: 'spiffe://example.org/Billing' },
      { email: 'Billing@example.com' },
      { ip: '10.0.0.2' },
      { dns: 'billing.svc.example.com', ip: '10.0.0.2' },
    ]) {
      expect(broken(billing, { san }), JSON.stringify(san)).toBe('san')
    }
  })

  it('do not take a certificate for a wildcard as one for a name', () => {
    expect(broken(billing, { san: { dns: '*.wild.example.com' } })).toBe('san')
  })

  it('must all be fulfilled', () => {
    expect(broken(billing, { subject: 'billing', issuer: 'Acme CA', san: { ip: '10.0.0.1' } })).toBeUndefined()
    expect(broken(billing, { subject: 'orders', issuer: 'Acme CA' })).toBe('subject')
    expect(broken(billing, { subject: 'billing', fingerprints: '0'.repeat(64) })).toBe('fingerprint')
  })
})
