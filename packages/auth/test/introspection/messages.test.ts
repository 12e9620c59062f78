import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formEncoded, introspectionRequest, readIntrospection } from '../../src/introspection/messages.ts'

const SHOWN = 'https://login.example.com/introspect'

describe('a question', () => {
  test('has the client form-encoded inside Basic (RFC 6749 §2.3.1)', () => {
    const { headers, bodyStart } = introspectionRequest({ id: 'gate:way', secret: 'ü +&', method: 'basic' })
    expect(Buffer.from(headers.authorization!.slice('Basic '.length), 'base64').toString()).toBe(
      'gate%3Away:%C3%BC+%2B%26',
    )
    expect(new URLSearchParams(`${bodyStart}t`)).toEqual(
      new URLSearchParams({ token_type_hint: 'access_token', token: 't' }),
    )
  })

  test('has the client in the form where that is wanted', () => {
    const { headers, bodyStart } = introspectionRequest({ id: 'gateway', secret: 'a&b=c', method: 'post' })
    expect(headers.authorization).toBeUndefined()
    expect(Object.fromEntries(new URLSearchParams(`${bodyStart}t`))).toEqual({
      token_type_hint: 'access_token',
      client_id: 'gateway',
      client_secret: 'a&b=c',
      token: 't',
    })
  })

  test('never lets a token become another parameter', () => {
    const { bodyStart } = introspectionRequest({ id: 'gateway', secret: 's', method: 'post' })
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (token) => {
        const form = new URLSearchParams(bodyStart + formEncoded(token))
        expect(form.getAll('token')).toEqual([token.toWellFormed()])
        expect([...form.keys()]).toHaveLength(4)
      }),
    )
  })
})

describe('an answer', () => {
  const read = (body: unknown, status = 200) => readIntrospection({ status, headers: {}, body, bodyBytes: 0 }, SHOWN)

  test('is the members of an active token, and nothing of others', () => {
    expect(read({ active: true, sub: 'alice' })).toEqual({ active: true, sub: 'alice' })
    expect(read({ active: false, sub: 'alice' })).toBeUndefined()
  })

  test.each([
    null,
    true,
    'active',
    [],
    [{ active: true }],
    {},
    { active: 'true' },
    { active: 1 },
    { active: null },
    { Active: true },
  ])('tells nothing as %j', (body) => {
    expect(() => read(body)).toThrow(/does not say whether the token is active/)
  })

  test.each([201, 204, 400, 401, 403, 404, 429, 500, 503])(
    'tells nothing with the status %d, whatever it says',
    (status) => {
      expect(() => read({ active: true, sub: 'alice' }, status)).toThrow(
        expect.objectContaining({ kind: 'status', status }),
      )
      expect(() => read({ active: false }, status)).toThrow(expect.objectContaining({ kind: 'status', status }))
    },
  )

  test('of a server that refuses the gateway says so to the operator', () => {
    expect(() => read({}, 401)).toThrow(/client credentials/)
  })
})
