import { ConfigError } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { resolveClientCertificateOptions } from '../../src/client-certificate/options.ts'

function faultsOf(options: unknown): Record<string, string> {
  try {
    resolveClientCertificateOptions(options as never)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    expect(error.message.startsWith('clientCertificate(): ')).toBe(true)
    return Object.fromEntries(error.faults.map(({ path, message, cure }) => [path, cure ?? message]))
  }
  return {}
}

describe('options of clientCertificate()', () => {
  it('have defaults for all', () => {
    expect(resolveClientCertificateOptions()).toMatchObject({
      field: undefined,
      rules: { subject: undefined, issuer: undefined, san: undefined, fingerprints: undefined },
      subjectFrom: 'cn',
      cacheMs: 60_000,
      realm: 'api',
      name: 'client-certificate',
    })
    expect(Object.isFrozen(resolveClientCertificateOptions({}))).toBe(true)
  })

  it('name the field to read in lower case', () => {
    expect(resolveClientCertificateOptions({ header: 'client-cert' }).field).toEqual({
      name: 'client-cert',
      format: 'rfc9440',
    })
    const header = { name: 'X-SSL-Client-Cert', format: 'pem' } as const
    expect(resolveClientCertificateOptions({ header }).field).toEqual({ name: 'x-ssl-client-cert', format: 'pem' })
  })

  it('tell of all faults at once, by path', () => {
    expect(
      faultsOf({
        header: { name: 'a b', format: 'der' },
        subject: [],
        issuer: { CN: '' },
        san: { dns: ['a.*.b', 'ok.example'], uri: '*.example.com', email: 'nobody', ip: '10.0.0', dsn: 'x' },
        fingerprints: ['abc'],
        subjectFrom: 'san',
        roles: 'admin',
        cacheMs: -1,
        realm: 'a"b',
        nmae: 'x',
      }),
    ).toMatchObject({
      header: expect.stringContaining('client-cert'),
      subject: 'an empty list',
      'issuer[0]': expect.any(String),
      'san.dns[0]': expect.stringContaining('not a DNS name'),
      'san.uri[0]': expect.stringContaining('not a URI'),
      'san.email[0]': expect.stringContaining('not an address'),
      'san.ip[0]': 'not an IP address',
      'san.dsn': 'did you mean "dns"?',
      'fingerprints[0]': 'not a SHA-256 in hex',
      subjectFrom: expect.stringContaining('"san-uri"'),
      roles: 'not a function',
      cacheMs: expect.any(String),
      realm: expect.any(String),
      nmae: 'did you mean "name"?',
    })
  })

  it('are refused when they ask for nothing by mistake', () => {
    expect(faultsOf({ san: {} })).toEqual({ san: 'no names' })
    expect(faultsOf({ subject: {} })).toEqual({ 'subject[0]': expect.any(String) })
    expect(faultsOf('x')).toEqual({ '': expect.stringContaining('clientCertificate(') })
  })
})
