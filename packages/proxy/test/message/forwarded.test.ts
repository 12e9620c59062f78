import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ForwardedStyle, noForwardedFields, readForwarded, writeForwarded } from '../../src/message/forwarded.ts'

interface Given {
  readonly received?: readonly (readonly [string, string])[]
  readonly peer?: string
  readonly trusted?: boolean
  readonly encrypted?: boolean
  readonly host?: string
  readonly prefix?: string
  readonly style?: ForwardedStyle
}

function written(given: Given = {}): Record<string, string> {
  const fields = given.received === undefined ? undefined : noForwardedFields()
  for (const [name, value] of given.received ?? []) readForwarded(fields!, name, value)
  const req = {
    socket: { remoteAddress: given.peer ?? '192.0.2.1', encrypted: given.encrypted },
    app: { get: () => () => given.trusted === true },
  } as unknown as IncomingMessage
  const into: string[] = []
  writeForwarded(into, req, fields, given.host ?? 'shop.test', given.prefix ?? '', given.style ?? 'both')
  const result: Record<string, string> = {}
  for (let i = 0; i < into.length; i += 2) {
    expect(result[into[i]!]).toBeUndefined()
    result[into[i]!] = into[i + 1]!
  }
  return result
}

const FAMILY = [
  'x-forwarded-for',
  'X-Forwarded-Proto',
  'X-FORWARDED-HOST',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'Forwarded',
  'x-real-ip',
  'x-forwarded-server',
]

describe('writeForwarded()', () => {
  it('tells what this process saw', () => {
    expect(written({ encrypted: true, prefix: '/api' })).toEqual({
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.test',
      'x-forwarded-prefix': '/api',
      forwarded: 'for=192.0.2.1;proto=https;host="shop.test"',
    })
  })

  it('is the same whatever a peer says that nobody trusts', () => {
    const line = fc.tuple(fc.constantFrom(...FAMILY), fc.string({ unit: 'binary-ascii' }))
    fc.assert(
      fc.property(fc.array(line), (received) => {
        expect(written({ received })).toEqual(written())
      }),
    )
  })

  it('has the TCP peer last, whatever a trusted one says', () => {
    const line = fc.tuple(fc.constantFrom(...FAMILY), fc.stringMatching(/^[a-z0-9.:,= ]{0,20}$/))
    fc.assert(
      fc.property(fc.array(line), (received) => {
        const fields = written({ received, trusted: true })
        expect(fields['x-forwarded-for']!.split(', ').at(-1)).toBe('192.0.2.1')
        expect(fields.forwarded).toMatch(/(?:^|, )for=192\.0\.2\.1;proto=http;host="shop\.test"$/)
      }),
    )
  })

  it('keeps what a trusted peer says, several lines joined', () => {
    const received = [
      ['X-Forwarded-For', '9.9.9.9'],
      ['x-forwarded-for', '8.8.8.8, 7.7.7.7'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', 'public.test'],
      ['X-Forwarded-Port', '443'],
      ['X-Forwarded-Prefix', '/outer'],
      ['Forwarded', 'for=9.9.9.9'],
    ] as const
    expect(written({ received, trusted: true, prefix: '/api' })).toEqual({
      'x-forwarded-for': '9.9.9.9, 8.8.8.8, 7.7.7.7, 192.0.2.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'public.test',
      'x-forwarded-port': '443',
      'x-forwarded-prefix': '/outer/api',
      forwarded: 'for=9.9.9.9, for=192.0.2.1;proto=http;host="shop.test"',
    })
  })

  it('writes IPv6 as RFC 7239 wants it, and mapped IPv4 as IPv4', () => {
    expect(written({ peer: '2001:db8::1' })).toMatchObject({
      'x-forwarded-for': '2001:db8::1',
      forwarded: 'for="[2001:db8::1]";proto=http;host="shop.test"',
    })
    expect(written({ peer: '::ffff:192.0.2.7' })['x-forwarded-for']).toBe('192.0.2.7')
  })

  it('tells of no host where there is none', () => {
    expect(written({ host: '' })).toEqual({
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-proto': 'http',
      forwarded: 'for=192.0.2.1;proto=http',
    })
  })

  it.each([
    ['none', []],
    ['x-forwarded', ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']],
    ['rfc7239', ['forwarded']],
  ] as const)('writes the style %s alone', (style, names) => {
    expect(Object.keys(written({ style }))).toEqual(names)
  })
})
