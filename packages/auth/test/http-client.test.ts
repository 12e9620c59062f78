import { blackholeTarget, certificates, eventually, refusedPort, unhandled } from '@postern/test-kit'
import type { Agent } from 'undici'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkProviderUrl, createProviderAgent, fetchJson, ProviderError, shownUrl } from '../src/http-client.ts'
import { type Issuer, startIssuer } from './support/issuer.ts'

let issuer: Issuer
let agent: Agent

beforeEach(async () => {
  issuer = await startIssuer({ algorithms: ['ES256'] })
  agent = createProviderAgent()
})

afterEach(async () => {
  await agent.destroy()
  await issuer.close()
})

function ask(options: Partial<Parameters<typeof fetchJson>[1]> = {}, url = issuer.jwksUri) {
  return fetchJson(url, { timeoutMs: 5_000, maxBytes: 65_536, dispatcher: agent, ...options })
}

async function failure(asked: Promise<unknown>): Promise<ProviderError> {
  const error = await asked.then(
    () => new Error('it was answered'),
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(ProviderError)
  return error
}

describe('an answer', () => {
  test('comes with status, headers and parsed body', async () => {
    issuer.jwks.headers = { 'cache-control': 'max-age=60' }
    const answer = await ask()
    expect(answer.status).toBe(200)
    expect(answer.headers['cache-control']).toBe('max-age=60')
    expect(answer.body).toEqual(issuer.document())
  })

  test('of an error status is an answer, with its JSON body', async () => {
    issuer.jwks.fault = 400
    expect(await ask()).toMatchObject({ status: 400, body: { error: 'told_to_fail' } })
  })

  test('of an error status without JSON has no body', async () => {
    expect(await ask({}, `${issuer.url}/nowhere`)).toMatchObject({ status: 404, body: undefined })
  })

  test('is asked for unpacked, as JSON', async () => {
    await ask({ headers: { 'x-own': 'yes' } })
    expect(issuer.lastHeaders()).toMatchObject({
      accept: 'application/json',
      'accept-encoding': 'identity',
      'x-own': 'yes',
    })
  })

  test('is taken with a body of exactly the limit, and refused with one byte less', async () => {
    const { length } = JSON.stringify(issuer.document())
    expect((await ask({ maxBytes: length })).status).toBe(200)
    expect((await failure(ask({ maxBytes: length - 1 }))).kind).toBe('too-large')
  })

  test('does not pollute prototypes', async () => {
    issuer.publish(JSON.parse('{"__proto__":{"polluted":true}}'))
    await ask()
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('no answer', () => {
  test.each([
    ['down', 'network'],
    ['cut', 'network'],
    ['silent', 'timeout'],
    ['dribble', 'timeout'],
    ['redirect', 'redirect'],
    ['huge', 'too-large'],
    ['endless', 'too-large'],
    ['not-json', 'not-json'],
    ['packed', 'not-json'],
  ] as const)('from a server that is %s is told as %s, and leaves no request open', async (fault, kind) => {
    const watched = unhandled()
    issuer.jwks.fault = fault
    const error = await failure(ask({ timeoutMs: kind === 'timeout' ? 100 : 5_000 }))
    expect(error.kind).toBe(kind)
    expect(issuer.jwks.followed).toBe(0)
    await eventually(() => issuer.jwks.open === 0)
    expect(await watched.stop()).toEqual([])
  })

  test('from a port where nobody listens is told as network', async () => {
    const held = await refusedPort()
    const error = await failure(ask({}, `${held.url}/jwks`))
    expect(error.kind).toBe('network')
    expect(error.message).toContain('ECONNREFUSED')
    await held.close()
  })

  test('from an address that swallows connections is told as timeout, in the time of the whole', async () => {
    const held = await blackholeTarget()
    const startedAt = performance.now()
    const error = await failure(ask({ timeoutMs: 150 }, `${held.url}/jwks`))
    expect(error.kind).toBe('timeout')
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await held.close()
  })

  test('from a name that does not resolve is a rejection, not a throw', async () => {
    expect((await failure(ask({}, 'http://provider.invalid/jwks'))).kind).toBe('network')
  })

  test('when the agent ends meanwhile is told as network', async () => {
    issuer.jwks.fault = 'silent'
    const asked = failure(ask())
    await eventually(() => issuer.jwks.open === 1)
    await agent.destroy()
    expect((await asked).kind).toBe('network')
  })

  test('is told without what the address hides in its query', async () => {
    issuer.jwks.fault = 'not-json'
    const error = await failure(ask({}, `${issuer.jwksUri}?code=hush`))
    expect(error.message).not.toContain('hush')
    expect(error.message).toContain(issuer.jwksUri)
  })

  test('does not spoil the connection for the next question', async () => {
    for (const fault of ['cut', 'redirect', 'huge', 'endless', 'not-json'] as const) {
      issuer.jwks.fault = fault
      await failure(ask())
      issuer.jwks.fault = undefined
      expect((await ask()).status).toBe(200)
    }
  })
})

describe('https', () => {
  test.each([
    ['signed by an authority that is trusted', 'server', true],
    ['signed by nobody', 'selfSigned', false],
    ['that has run out', 'expired', false],
    ['of another host', 'wrongHost', false],
  ] as const)('with a certificate %s', async (_, which, isTrusted) => {
    const secure = await startIssuer({ algorithms: ['ES256'], tls: certificates()[which] })
    const trusting = createProviderAgent({ ca: [certificates().ca.cert] })
    const asked = ask({ dispatcher: trusting }, secure.jwksUri)
    if (isTrusted) expect((await asked).status).toBe(200)
    else expect((await failure(asked)).kind).toBe('network')
    expect(secure.jwks.requests).toBe(isTrusted ? 1 : 0)
    await trusting.destroy()
    await secure.close()
  })

  test('trusts no authority that it was not told of', async () => {
    const secure = await startIssuer({ algorithms: ['ES256'], tls: certificates().server })
    expect((await failure(ask({}, secure.jwksUri))).kind).toBe('network')
    await secure.close()
  })

  test('verifies certificates whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    const secure = await startIssuer({ algorithms: ['ES256'], tls: certificates().selfSigned })
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      expect((await failure(ask({}, secure.jwksUri))).kind).toBe('network')
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
    await secure.close()
  })
})

describe('the address of a provider', () => {
  test.each([
    ['https://login.example.com/jwks', false, undefined],
    ['https://login.example.com/jwks?tenant=a', false, undefined],
    ['http://login.example.com/jwks', true, undefined],
    ['http://login.example.com/jwks', false, /^not https/],
    ['/jwks', false, /^not an absolute URL/],
    ['file:///etc/passwd', true, /^not an https URL/],
    ['data:application/json,{}', true, /^not an https URL/],
    ['https://user:pass@login.example.com/', false, /user name or a password/],
    ['https://user@login.example.com/', false, /user name or a password/],
    ['https://login.example.com/#keys', false, /fragment/],
    ['https://login.example.com/#', false, /fragment/],
  ])('%s (http allowed: %s)', (url, allowHttp, fault) => {
    const found = checkProviderUrl(url, allowHttp)
    if (fault === undefined) expect(found).toBeUndefined()
    else expect(found).toMatch(fault)
  })

  test('is shown without user, password and query', () => {
    expect(shownUrl('https://user:pass@login.example.com/jwks?key=hush')).toBe('https://login.example.com/jwks')
    expect(shownUrl('hush')).toBe('an address that is no URL')
  })
})
