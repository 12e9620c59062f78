import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { alternativeNames, plainAddress, plainEmail } from '../../src/client-certificate/alternative-names.ts'
import { authority } from './support.ts'

const ca = authority()

function namesOf(...san: NonNullable<Parameters<typeof ca.issue>[0]>['san'] & object): unknown {
  return alternativeNames(new X509Certificate(ca.issue({ san }).cert).subjectAltName)
}

describe('names beside the subject', () => {
  it('are read by their kind', () => {
    const names = namesOf(
      ['dns', 'API.example.com'],
      ['uri', 'spiffe://example.org/Billing'],
      ['email', 'Ops@Example.COM'],
      ['ip', Uint8Array.of(10, 0, 0, 1)],
      ['ip', Uint8Array.from([0xfe, 0x80, ...Array(13).fill(0), 1])],
    )
    expect(names).toEqual({
      dns: ['api.example.com'],
      uri: ['spiffe://example.org/Billing'],
      email: ['Ops@example.com'],
      ip: ['10.0.0.1', 'fe80::1'],
    })
  })

  // CVE-2021-44532: a value with ", DNS:" in it was printed as it was, and looked like a second name.
  it('are not made by what is written inside another name', () => {
    expect(namesOf(['uri', 'https://x/, DNS:admin.example.com'])).toEqual({
      dns: [],
      uri: ['https://x/, DNS:admin.example.com'],
      email: [],
      ip: [],
    })
  })

  it('come back whatever characters an authority has signed', () => {
    const name = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 24 })
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 3 }), (uris) => {
        expect(namesOf(...uris.map((uri) => ['uri', uri] as const))).toMatchObject({ dns: [], uri: uris })
      }),
      { numRuns: 60 },
    )
  })

  it('are none when the list does not parse to its end', () => {
    const none = { dns: [], uri: [], email: [], ip: [] }
    for (const text of ['DNS:a, DNS:"b', 'DNS:a,DNS:b', 'DNS:a, ', 'DNS:a, x', 'DNS:a"b"', 'DNS:"\\q"', ' DNS:a, ,']) {
      expect(alternativeNames(text), text).toEqual(none)
    }
    expect(alternativeNames(undefined)).toEqual(none)
    expect(alternativeNames('')).toEqual(none)
  })
})

describe('names that are written in several ways', () => {
  it('have one form', () => {
    expect(plainAddress('FE80:0:0:0:0:0:0:1')).toBe('fe80::1')
    expect(plainAddress('::ffff:10.0.0.1')).toBe(plainAddress('::FFFF:A00:1'))
    expect(plainAddress('10.0.0.1')).toBe('10.0.0.1')
    for (const no of ['', 'localhost', '10.0.0.256', '010.0.0.1', 'fe80::1%eth0', '<invalid>']) {
      expect(plainAddress(no), no).toBeUndefined()
    }
    expect(plainEmail('A.b@C.D')).toBe('A.b@c.d')
  })
})
