import { ConfigError, faultsOf, type SchemaIssue } from '@postern/contracts'
import { certificates } from '@postern/test-kit'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { REMOTE_KEYS_OPTION_NAMES, type RemoteKeysOptions, remoteKeysOption } from '../../src/jwt/remote-options.ts'

const URI = 'https://login.example.com/jwks'

function faults(given: unknown): Record<string, string> {
  const result = v.safeParse(remoteKeysOption, given)
  if (result.success) return {}
  const all = faultsOf(result.issues as SchemaIssue[], () => REMOTE_KEYS_OPTION_NAMES)
  return Object.fromEntries(
    all.map(({ path, message, cure }) => [path, cure === undefined ? message : `${message}; ${cure}`]),
  )
}

describe('options of fetched keys', () => {
  test('have defaults, and may be an address alone', () => {
    const expected = {
      uri: URI,
      timeoutMs: 5_000,
      maxBytes: 262_144,
      maxKeys: 100,
      coolDownMs: 30_000,
      freshMs: 600_000,
      minFreshMs: 30_000,
      maxFreshMs: 86_400_000,
      maxStaleMs: 86_400_000,
      tls: {},
    }
    expect(v.parse(remoteKeysOption, URI)).toEqual(expected)
    const given: RemoteKeysOptions = Object.freeze({ uri: URI })
    const resolved = v.parse(remoteKeysOption, given)
    expect(resolved).toEqual(expected)
    expect(Object.isFrozen(resolved)).toBe(true)
  })

  test('name all faults at once, by path', () => {
    expect(faults({ uri: 'jwks', timeoutMs: 0, maxKeys: 1.5, coolDown: 5, tls: { ca: 'hush' } })).toEqual({
      uri: 'not an absolute URL',
      timeoutMs: 'not a whole number from 1 to 60000',
      maxKeys: 'not a whole number from 1 to 1000',
      coolDown: 'unknown option; did you mean "coolDownMs"?',
      'tls.ca': 'not a PEM certificate or a list of them',
    })
  })

  test.each([
    ['http that nobody allowed', { uri: 'http://login.example.com/jwks' }, 'uri', /^not https/],
    ['bounds in the wrong order', { uri: URI, minFreshMs: 10, maxFreshMs: 9 }, 'maxFreshMs', /^less than minFreshMs/],
    ['a number in the place of options', 5, '', /^not a URL or an object of options/],
    ['null', null, '', /^not a URL or an object of options/],
    ['no address', {}, 'uri', /^missing/],
    ['an empty list of authorities', { uri: URI, tls: { ca: [] } }, 'tls.ca', /^not a PEM certificate/],
  ])('refuse %s', (_, given, path, message) => {
    expect(faults(given)[path]).toMatch(message)
  })

  test('take http when told to, and authorities as text, buffer or list', () => {
    expect(faults({ uri: 'http://127.0.0.1:8080/jwks', allowHttp: true })).toEqual({})
    const { cert } = certificates().ca
    for (const ca of [cert, Buffer.from(cert), [cert, Buffer.from(cert)]])
      expect(faults({ uri: URI, tls: { ca } })).toEqual({})
  })

  test('never show a password that stands in the address', () => {
    for (const uri of [
      'https://user:hush-hush@login.example.com/jwks',
      'http://user:hush-hush@login.example.com/jwks',
    ]) {
      const result = v.safeParse(remoteKeysOption, { uri })
      expect(result.success).toBe(false)
      const error = new ConfigError('jwt()', faultsOf(result.issues as SchemaIssue[]))
      expect(error.message).toContain('user name or a password')
      expect(error.message).not.toContain('hush-hush')
    }
  })
})
