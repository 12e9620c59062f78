import { X509Certificate } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { distinguishedName, nameText } from '../../src/client-certificate/distinguished-name.ts'
import { authority } from './support.ts'

const ca = authority()

describe('a distinguished name', () => {
  it('comes back whatever characters an authority has signed', () => {
    const value = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 16 })
    const odd = fc.string({ unit: fc.constantFrom(...'\\,+"<>;#= \n\r\0aA0=CN\u007fé'), minLength: 1, maxLength: 16 })
    fc.assert(
      fc.property(fc.array(fc.oneof(value, odd), { minLength: 1, maxLength: 4 }), (values) => {
        const { subject } = new X509Certificate(ca.issue({ subject: values.map((each) => ['OU', each]) }).cert)
        expect({ ...distinguishedName(subject) }).toEqual({ OU: values.length === 1 ? values[0] : values })
      }),
      { numRuns: 200 },
    )
  })

  it('is read where several attributes stand together', () => {
    expect({ ...distinguishedName('CN=a + OU=b \\+ c\nO=\\ lead\n1.2.3.4=odd') }).toEqual({
      CN: 'a',
      OU: 'b + c',
      O: ' lead',
      '1.2.3.4': 'odd',
    })
    expect(nameText('CN=a + OU=b \\+ c\nO=\\ lead')).toBe('O=\\ lead,CN=a+OU=b \\+ c')
  })

  it('may be empty', () => {
    expect({ ...distinguishedName(undefined) }).toEqual({})
    expect(nameText(undefined)).toBe('')
  })
})
