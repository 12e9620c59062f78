import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  classify,
  connectionNames,
  goesBy,
  HeaderClass,
  isForbiddenTrailer,
  isHopByHopResponse,
} from '../../src/message/header-names.ts'

/** Any spelling of a name: letters in any case. */
function inAnyCase(name: string): fc.Arbitrary<string> {
  return fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => [...name].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join(''))
}

const SPECIAL = [
  ['host', HeaderClass.Host],
  ['content-length', HeaderClass.ContentLength],
  ['transfer-encoding', HeaderClass.TransferEncoding],
  ['connection', HeaderClass.Connection],
  ['te', HeaderClass.Te],
  ['via', HeaderClass.Via],
  ['upgrade', HeaderClass.Upgrade],
  ['authorization', HeaderClass.Authorization],
  ['content-type', HeaderClass.ContentType],
  ['keep-alive', HeaderClass.Drop],
  ['proxy-connection', HeaderClass.Drop],
  ['proxy-authorization', HeaderClass.Drop],
  ['expect', HeaderClass.Drop],
  ['trailer', HeaderClass.Drop],
  ['http2-settings', HeaderClass.Drop],
  ['proxy', HeaderClass.Drop],
  ['x-postern-anything', HeaderClass.Drop],
  ['forwarded', HeaderClass.Forwarded],
  ['x-forwarded-for', HeaderClass.Forwarded],
  ['x-forwarded-anything', HeaderClass.Forwarded],
  ['x-real-ip', HeaderClass.Forwarded],
  ['x-original-url', HeaderClass.Override],
  ['x-http-method-override', HeaderClass.Override],
] as const

describe('classify()', () => {
  it.each(SPECIAL)('knows %s in any case', (name, expected) => {
    fc.assert(fc.property(inAnyCase(name), (spelling) => classify(spelling) === expected))
  })

  it.each(SPECIAL.filter(([name]) => name.includes('-')))('drops %s with underscores, all or some', (name) => {
    const dashes = name.split('-').length - 1
    const mixed = fc
      .array(fc.boolean(), { minLength: dashes, maxLength: dashes })
      .filter((each) => each.includes(true))
      .map((under) => {
        let at = 0
        return name.replaceAll('-', () => (under[at++] ? '_' : '-'))
      })
    fc.assert(fc.property(mixed.chain(inAnyCase), (spelling) => classify(spelling) === HeaderClass.Drop))
  })

  it.each([
    'accept',
    'cookie',
    'x-user',
    'x_user',
    'hosts',
    'x-host',
    'content-length2',
    'forwarded-for',
    '__proto__',
    'constructor',
  ])('forwards %s', (name) => {
    expect(classify(name)).toBe(HeaderClass.Forward)
  })

  it('says the same however many names it has seen', () => {
    for (let i = 0; i < 5_000; i++) classify(`x-filler-${i}`)
    expect(classify('x-filler-4999')).toBe(HeaderClass.Forward)
    expect(classify('X-FoRwArDeD-fOr')).toBe(HeaderClass.Forwarded)
    expect(classify('TRANSFER-encoding')).toBe(HeaderClass.TransferEncoding)
    expect(classify('X_Original_Url')).toBe(HeaderClass.Drop)
  })
})

describe('goesBy()', () => {
  it('takes any case, and an underscore for a dash', () => {
    for (const sent of ['x-auth-user', 'X-Auth-User', 'X_Auth_User', 'x-auth_USER'])
      expect(goesBy(sent, 'x-auth-user')).toBe(true)
    for (const sent of ['x-auth-use', 'x-auth-users', 'x.auth.user', 'xxauth-user'])
      expect(goesBy(sent, 'x-auth-user')).toBe(false)
  })

  it('takes a name that has underscores itself as it stands', () => {
    expect(goesBy('X_Team', 'x_team')).toBe(true)
    expect(goesBy('x-team', 'x_team')).toBe(false)
  })
})

describe('connectionNames()', () => {
  it.each(['close', 'keep-alive', 'Keep-Alive', 'Upgrade', ' , ,', 'close, keep-alive'])(
    'finds no name in %j',
    (value) => {
      expect(connectionNames(value)).toBeUndefined()
    },
  )

  it('collects the names of several lines, in lower case', () => {
    const first = connectionNames('close, X-Hop ,\tx-two')
    expect([...connectionNames('X-THREE,x-hop', first)!]).toEqual(['x-hop', 'x-two', 'x-three'])
  })

  it.each([
    'Host',
    'Content-Length',
    'Authorization',
    'Cookie',
    'Content-Type',
    'Cache-Control',
    'Idempotency-Key',
    'traceparent',
    'X-Request-Id',
  ])('does not let %s be taken away', (name) => {
    expect(connectionNames(`x-hop, ${name}`)).toEqual(new Set(['x-hop']))
  })
})

describe('isForbiddenTrailer()', () => {
  it('forbids what frames, routes, authenticates or describes the content, and every hop-by-hop field', () => {
    for (const name of [
      'content-length',
      'transfer-encoding',
      'host',
      'authorization',
      'set-cookie',
      'cookie',
      'content-type',
      'content-encoding',
      'cache-control',
      'trailer',
      'connection',
      'te',
      'location',
      'vary',
      'www-authenticate',
      'proxy-authenticate',
    ]) {
      expect([name, isForbiddenTrailer(name)]).toEqual([name, true])
    }
    for (const name of ['grpc-status', 'server-timing', 'digest', 'x-checksum'])
      expect([name, isForbiddenTrailer(name)]).toEqual([name, false])
  })
})

describe('isHopByHopResponse()', () => {
  it('names the fields of one connection and no other', () => {
    for (const name of [
      'connection',
      'keep-alive',
      'proxy-connection',
      'proxy-authenticate',
      'te',
      'trailer',
      'transfer-encoding',
      'upgrade',
    ]) {
      expect([name, isHopByHopResponse(name)]).toEqual([name, true])
    }
    for (const name of ['content-length', 'set-cookie', 'via', 'server'])
      expect([name, isHopByHopResponse(name)]).toEqual([name, false])
  })
})
