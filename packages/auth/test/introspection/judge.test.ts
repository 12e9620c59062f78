import { describe, expect, test } from 'vitest'
import { judge } from '../../src/introspection/judge.ts'

const WALL_MS = Date.UTC(2026, 0, 1)
const SECONDS = WALL_MS / 1_000
const OPTIONS = {
  name: 'introspection',
  rules: {
    issuer: 'https://login.example.com',
    audiences: ['api', 'api-2'],
    types: undefined,
    expRequired: false,
    maxAgeMs: undefined,
    toleranceMs: 5_000,
  },
  tokenTypes: undefined as readonly string[] | undefined,
  subject: 'sub',
  scopes: 'scope',
  roles: 'realm_access.roles',
  bindingRequired: false,
}
const GOOD = { active: true, iss: 'https://login.example.com', aud: 'api', sub: 'alice', exp: SECONDS + 60 }

describe('an active token', () => {
  test('is of whom the server names, with scopes and roles', () => {
    const claims = { ...GOOD, scope: 'read write', realm_access: { roles: ['admin'] } }
    expect(judge(claims, OPTIONS, WALL_MS)).toEqual({
      scheme: 'introspection',
      subject: 'alice',
      scopes: ['read', 'write'],
      roles: ['admin'],
      claims,
    })
  })

  test.each([
    ['for several services', { ...GOOD, aud: ['other', 'api-2'] }],
    ['without an end', { ...GOOD, exp: undefined }],
    ['that ended within the tolerance', { ...GOOD, exp: SECONDS - 4 }],
  ])('%s is taken', (_, claims) => {
    expect(judge(claims, OPTIONS, WALL_MS)).toMatchObject({ subject: 'alice' })
  })

  test.each([
    ['of another issuer', { ...GOOD, iss: 'https://login.example.com/' }, 'issuer'],
    ['of no issuer', { ...GOOD, iss: undefined }, 'issuer'],
    ['for another service', { ...GOOD, aud: 'api-3' }, 'audience'],
    ['for no service', { ...GOOD, aud: undefined }, 'audience'],
    ['for a service of a longer name', { ...GOOD, aud: 'api-20' }, 'audience'],
    ['that has ended', { ...GOOD, exp: SECONDS - 6 }, 'expired'],
    ['whose end is no date', { ...GOOD, exp: '2099' }, 'malformed-exp'],
    ['that is not valid yet', { ...GOOD, nbf: SECONDS + 6 }, 'not-yet-valid'],
    ['of nobody', { ...GOOD, sub: undefined }, 'no-subject'],
    ['of an empty name', { ...GOOD, sub: '' }, 'no-subject'],
    ['of a number', { ...GOOD, sub: 5 }, 'no-subject'],
  ])('%s is refused', (_, claims, reason) => {
    expect(judge(claims, OPTIONS, WALL_MS)).toMatchObject({ outcome: 'refused', reason, isGuess: false })
  })

  test('must be of an accepted type where these are told, in any case', () => {
    const options = { ...OPTIONS, tokenTypes: ['bearer'] }
    expect(judge({ ...GOOD, token_type: 'Bearer' }, options, WALL_MS)).toMatchObject({ subject: 'alice' })
    for (const type of ['refresh_token', undefined, 5, ['bearer']]) {
      expect(judge({ ...GOOD, token_type: type }, options, WALL_MS)).toMatchObject({ reason: 'token-type' })
    }
  })

  test('must be bound to a certificate where that is required', () => {
    const options = { ...OPTIONS, bindingRequired: true }
    expect(judge(GOOD, options, WALL_MS)).toMatchObject({ reason: 'certificate-binding' })
    expect(judge({ ...GOOD, cnf: { 'x5t#S256': 'x' } }, options, WALL_MS)).toMatchObject({ subject: 'alice' })
  })
})
