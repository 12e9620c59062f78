import { apiKey, hashApiKey, internalIssuer } from '@postern/auth'
import { ConfigError } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import { describe, expect, it } from 'vitest'
import { type GatewayConfig, gateway } from '../src/index.ts'
import { faultsOf } from './auth-support.ts'

const ends: RouteHandler = (_req, res) => void res.end()
const scheme = apiKey({ keys: [{ id: 'one', hash: hashApiKey('a key of a partner'), subject: 'partner' }] })
const route = (more: object = {}) => ({ path: '/orders', handlers: ends, ...more })

function messageOf(config: unknown): string {
  try {
    gateway(config as GatewayConfig)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('a route without a rule under a gateway that has auth', () => {
  it('is closed, and the error says so, where it is and how it is opened', () => {
    const config = {
      upstreams: {},
      auth: { schemes: scheme },
      routes: [
        route({ auth: { rule: 'authenticated' } }),
        route({ path: '/forgotten' }),
        route({ path: '/x', public: true }),
      ],
    }
    expect(faultsOf(config)).toEqual([
      "routes[1]: give the route auth: { rule: 'authenticated' } or a narrower one, or open it with public: true",
    ])
    expect(messageOf(config)).toMatch(
      /routes\[1\]: is closed: the gateway has auth, and neither of them has a rule, got '\/forgotten'/,
    )
  })

  it.each([{ auth: {} }, { auth: { schemes: scheme } }, { auth: { optional: false } }])(
    'is so as well when it has %j of its own',
    (more) => {
      const config = { upstreams: {}, auth: { schemes: scheme }, routes: [route(more)] }
      expect(messageOf(config)).toMatch(/routes\[0\]\.auth\.rule: missing: the route is closed/)
    },
  )

  it('is so also where it redirects or answers by itself', () => {
    const routes = [
      { path: '/moved', redirect: { path: '/there' } },
      { path: '/fixed', respond: { status: 204 } },
    ]
    expect(faultsOf({ upstreams: {}, auth: { schemes: scheme }, routes }).map((text) => text.split(':')[0])).toEqual([
      'routes[0]',
      'routes[1]',
    ])
  })
})

describe('auth that cannot be meant so', () => {
  it.each<[string, object, RegExp]>([
    ['no object', { auth: scheme.authenticate }, /^gateway\(\).*\n?auth: expected an object of schemes and a rule/s],
    ['schemes alone', { auth: [scheme] }, /auth: expected an object of schemes and a rule/],
    ['a rule without schemes', { auth: { rule: 'authenticated' } }, /auth\.schemes: there is none/],
    ['an empty list of schemes', { auth: { schemes: [], rule: 'authenticated' } }, /auth\.schemes: there is none/],
    ['what is no scheme', { auth: { schemes: ['jwt'], rule: 'authenticated' } }, /auth\.schemes\[0\]: not a scheme/],
    [
      'an option that is not known',
      { auth: { schemes: scheme, rules: 'authenticated' } },
      /auth\.rules: unknown option.*did you mean "rule"/,
    ],
    [
      'options of authenticate() that are the gateway’s',
      { auth: { schemes: scheme, rule: 'authenticated', errors: 'next' } },
      /auth\.errors: unknown option/,
    ],
    [
      'an option with a wrong value',
      { auth: { schemes: scheme, rule: 'authenticated', failureLimit: { afterFailure: 3 } } },
      /auth\.failureLimit\.afterFailure: unknown option.*did you mean "afterFailures"/,
    ],
    [
      'a rule with a fault',
      { auth: { schemes: scheme, rule: { scope: 'x' } } },
      /auth\.rule\.scope: .*did you mean "scopes"/,
    ],
    [
      'optional beside a rule',
      { auth: { schemes: scheme, rule: 'authenticated', optional: true } },
      /auth\.optional: decides nothing beside a rule/,
    ],
  ])('at the gateway: %s', (_name, config, expected) => {
    expect(messageOf({ upstreams: {}, routes: [route({ public: true })], ...config })).toMatch(expected)
  })

  it.each<[string, object, RegExp]>([
    ['no object', { auth: 'authenticated' }, /routes\[0\]\.auth: expected an object with a rule.*write auth/],
    ['an unknown option', { auth: { rul: 'authenticated' } }, /routes\[0\]\.auth\.rul: unknown option.*"rule"/],
    [
      'an option that only the gateway has',
      { auth: { rule: 'authenticated', failureLimit: false } },
      /routes\[0\]\.auth\.failureLimit: unknown option/,
    ],
    ['a rule with a fault', { auth: { rule: { roles: [] } } }, /routes\[0\]\.auth\.rule\.roles: /],
    ['auth and public', { auth: { rule: 'authenticated' }, public: true }, /routes\[0\]: has auth and is public/],
    ['public: false', { public: false }, /routes\[0\]\.public: expected true, got false/],
    [
      'optional beside a rule',
      { auth: { rule: 'authenticated', optional: true } },
      /routes\[0\]\.auth\.optional: decides nothing beside a rule/,
    ],
  ])('at a route: %s', (_name, more, expected) => {
    const config = { upstreams: {}, auth: { schemes: scheme, rule: 'authenticated' }, routes: [route(more)] }
    expect(messageOf(config)).toMatch(expected)
  })

  it('at a route whose gateway has none: a rule without schemes', () => {
    const config = { upstreams: {}, routes: [route({ auth: { rule: 'authenticated' } })] }
    expect(messageOf(config)).toMatch(/routes\[0\]\.auth\.schemes: missing: nobody could say who he is/)
  })

  it('at an upstream: identity that tells nothing, or in a header that cannot be told so', () => {
    const targets = ['http://127.0.0.1:1']
    const upstreams = {
      a: { targets, identity: { headers: { host: 'subject' } } },
      b: { targets, identity: { header: { 'x-user': 'subject' } } },
      c: { targets, identity: { token: { issuer: internalIssuer({ issuer: 'https://gw.test' }) } } },
    }
    const faults = faultsOf({ upstreams, routes: [] }).join('\n')
    expect(faults).toMatch(/^upstreams\.a\.identity\.headers\.host: /m)
    expect(faults).toMatch(/^upstreams\.b\.identity\.header: .*"headers"/m)
    expect(faults).toMatch(/^upstreams\.c\.identity\.token\.audience: /m)
  })

  it('tells all faults at once, those of auth beside all others, and shows no secret', () => {
    const config = {
      upstreams: { a: { targets: ['nonsense'] } },
      auth: { schemes: [scheme, 'p4ssw0rd-of-somebody'], password: 'hunter2-hunter2', rule: { scopes: [] } },
      routes: [route({ auth: { rul: 1 } }), { prefix: 'x', upstream: 'a' }],
      loger: true,
    }
    const message = messageOf(config)
    const paths = [
      'loger',
      'auth.password',
      'auth.schemes[1]',
      'auth.rule.scopes',
      'routes[0].auth.rul',
      'routes[1].prefix',
    ]
    for (const path of paths) expect(message).toContain(`\n${path}: `)
    expect(message).not.toContain('hunter2')
  })
})
