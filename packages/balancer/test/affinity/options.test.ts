import { ConfigError, type ConfigFault } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type AffinityOptions, balancer } from '../../src/index.ts'
import { resolveOptions } from '../../src/options.ts'

const SECRET = 's'.repeat(32)

function errorOf(affinity: unknown): ConfigError {
  try {
    balancer({ targets: [], affinity: affinity as AffinityOptions })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('no fault was found')
}

const pathsOf = (affinity: unknown) => errorOf(affinity).faults.map(({ path }: ConfigFault) => path)
const resolved = (affinity: AffinityOptions) => resolveOptions({ targets: [], affinity }).affinity

describe('affinity options', () => {
  it('fills the defaults and freezes the result', () => {
    const options = resolved({ by: 'cookie', secrets: [SECRET] })
    expect(options).toEqual({
      by: 'cookie',
      name: 'postern-affinity',
      maxAgeMs: undefined,
      sameSite: 'lax',
      path: '/',
      secure: 'auto',
      secrets: [SECRET],
      refuses: false,
    })
    expect([Object.isFrozen(options), Object.isFrozen(options?.secrets)]).toEqual([true, true])
  })

  it('has none by default', () => {
    expect(resolveOptions({ targets: [] }).affinity).toBeUndefined()
  })

  it('takes the stricter name where the cookie is certain to be Secure and for the whole host', () => {
    expect(resolved({ by: 'cookie', secrets: [SECRET], secure: true })?.name).toBe('__Host-postern-affinity')
    expect(resolved({ by: 'cookie', secrets: [SECRET], secure: true, path: '/shop' })?.name).toBe('postern-affinity')
  })

  it('takes a header, in lower case', () => {
    const options = resolved({ by: 'header', name: 'X-Session-Target', secrets: [SECRET], whenGone: 'refuse' })
    expect(options).toEqual({ by: 'header', name: 'x-session-target', secrets: [SECRET], refuses: true })
  })

  it('tells of all faults at once, together with those of other options', () => {
    try {
      balancer({
        targets: ['nonsense'],
        affinity: {
          by: 'cookie',
          secrets: ['short', 7],
          sameSite: 'Lax',
          maxAgeMs: 5,
          path: 'shop',
          secure: 'yes',
          whenGone: 'wait',
          nmae: 'x',
        } as unknown as AffinityOptions,
      })
      expect.unreachable()
    } catch (error) {
      expect((error as ConfigError).faults.map(({ path }) => path).sort()).toEqual([
        'affinity.maxAgeMs',
        'affinity.nmae',
        'affinity.path',
        'affinity.sameSite',
        'affinity.secrets[0]',
        'affinity.secrets[1]',
        'affinity.secure',
        'affinity.whenGone',
        'targets[0]',
      ])
    }
  })

  it.each([
    ['text', 'cookie', ['affinity']],
    ['a list', [], ['affinity']],
    ['null', null, ['affinity']],
    ['no kind', { secrets: [SECRET] }, ['affinity.by']],
    ['another kind', { by: 'address', secrets: [SECRET] }, ['affinity.by']],
    ['no secrets', { by: 'cookie' }, ['affinity.secrets']],
    ['an empty list of secrets', { by: 'cookie', secrets: [] }, ['affinity.secrets']],
    ['one secret that is no list', { by: 'cookie', secrets: SECRET }, ['affinity.secrets']],
    ['no name of the header', { by: 'header', secrets: [SECRET] }, ['affinity.name']],
    ['a name that is no token', { by: 'cookie', name: 'a;b', secrets: [SECRET] }, ['affinity.name']],
    ['a header with a meaning', { by: 'header', name: 'Cookie', secrets: [SECRET] }, ['affinity.name']],
    ['options of a cookie at a header', { by: 'header', name: 'x', path: '/', secrets: [SECRET] }, ['affinity.path']],
    ['a path with an attribute in it', { by: 'cookie', path: '/; Domain=x', secrets: [SECRET] }, ['affinity.path']],
    ['__Host- without Secure', { by: 'cookie', name: '__Host-x', secrets: [SECRET] }, ['affinity.name']],
    [
      '__Host- below a path',
      { by: 'cookie', name: '__Host-x', secure: true, path: '/a', secrets: [SECRET] },
      ['affinity.name'],
    ],
    ['__Secure- without Secure', { by: 'cookie', name: '__Secure-x', secrets: [SECRET] }, ['affinity.name']],
    [
      'SameSite=None without Secure',
      { by: 'cookie', sameSite: 'none', secure: false, secrets: [SECRET] },
      ['affinity.sameSite'],
    ],
  ])('refuses %s', (_, affinity, paths) => {
    expect(pathsOf(affinity)).toEqual(paths)
  })

  it('never prints a secret back', () => {
    const { message } = errorOf({ by: 'cookie', secrets: ['hunter2', 'hunter3'] })
    expect(message).toContain('affinity.secrets[0]')
    expect(message).not.toContain('hunter')
  })
})
