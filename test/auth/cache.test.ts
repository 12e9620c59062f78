import { authenticate, authorize, forwardIdentity, internalIssuer } from '@postern/auth'
import { cache } from '@postern/cache'
import { proxy } from '@postern/proxy'
import { eventually, request } from '@postern/test-kit'
import { describe, expect, it } from 'vitest'
import { bearer, listening, partners, provider, seenOf, upstream, using } from './support.ts'

/** Answers `1`, `2`, …: whoever sees a number twice got it from a store. */
async function counting(cacheControl: string) {
  let asked = 0
  return upstream((_req, res) => void res.writeHead(200, { 'cache-control': cacheControl }).end(String(++asked)))
}

describe('a cache behind authentication', () => {
  it('gives what it has stored only to callers that were looked at', async () => {
    const { scheme, headers } = partners()
    const goods = await counting('public, max-age=60')
    const url = await listening((app) => {
      app.use(
        using(authenticate(scheme)),
        authorize('authenticated'),
        using(cache()),
        using(proxy({ target: goods.url })),
      )
    })
    expect((await request(url, { headers })).text).toBe('1')
    expect((await request(url, { headers })).text).toBe('1')
    expect((await request(url)).status).toBe(401)
    expect((await request(url, { headers: { 'x-api-key': 'a-wrong-one' } })).status).toBe(401)
  })

  it.each([false, true])(
    'revalidates in the background as the caller who asked (stages behind known: %s)',
    async (around) => {
      const { scheme, headers } = partners()
      const issuer = internalIssuer({ issuer: 'https://gw.test' })
      const goods = await counting('public, max-age=0, stale-while-revalidate=60')
      const url = await listening((app) => {
        const tells = using(forwardIdentity({ token: { issuer, audience: 'goods' }, headers: { 'x-user': 'subject' } }))
        const carries = using(proxy({ target: goods.url }))
        const stores = using(cache())
        app.use(using(authenticate(scheme)))
        if (around) app.use(stores.around(tells, carries))
        else app.use(stores, tells, carries)
      })
      expect((await request(url, { headers })).text).toBe('1')
      const stale = await request(url, { headers: { ...headers, 'x-user': 'root' } })
      expect([stale.text, stale.headers['cache-status']]).toEqual([
        '1',
        expect.stringContaining('stale-while-revalidate'),
      ])
      await eventually(() => expect(goods.requests).toHaveLength(2))
      expect(seenOf(goods, 'x-user')).toEqual(['reseller', 'reseller'])
      expect(seenOf(goods, 'authorization')).toHaveLength(2)
      expect(seenOf(goods, 'x-api-key')).toEqual([])
    },
  )

  it('revalidates through the whole app with credentials that hold no longer: the stale answer stays, and nobody is blocked', async () => {
    const { key, scheme } = keyed()
    const goods = await counting('public, max-age=0, stale-while-revalidate=60')
    let backgrounds = 0
    const url = await listening((app) => {
      app.use((req, _res, next) => {
        if (req.gateway?.background === true) {
          backgrounds++
          scheme.replaceKeys([])
        }
        next()
      })
      app.use(using(authenticate(scheme, { failureLimit: { afterFailures: 1, delayMs: 60_000 } })))
      app.use(using(cache()), using(proxy({ target: goods.url })))
    })
    const headers = { 'x-api-key': key.text }
    expect((await request(url, { headers })).text).toBe('1')
    expect((await request(url, { headers })).text).toBe('1')
    await eventually(() => expect(backgrounds).toBe(1))
    expect(goods.requests).toHaveLength(1)
    // Refused, as it should be, but not for having failed too often.
    expect((await request(url, { headers })).status).toBe(401)
  })
})

describe('a cache in front of authentication, by mistake of order', () => {
  // E18: a stage that answers before authentication gives one caller's answer to everybody.
  it.each(['x-api-key', 'cookie', 'authorization'] as const)(
    'stores nothing that a caller with credentials in %s was answered',
    async (place) => {
      const { users, token } = await provider({ from: ['header', { cookie: 'session' }] })
      const { scheme, headers } = partners()
      const own = await counting('public, max-age=60')
      const url = await listening((app) => {
        app.use(using(cache()), using(authenticate(users, scheme)), using(proxy({ target: own.url })))
      })
      const good = {
        'x-api-key': headers,
        cookie: { cookie: `session=${await token()}` },
        authorization: bearer(await token()).headers,
      }[place]
      expect((await request(url, { headers: good as Record<string, string> })).text).toBe('1')
      expect((await request(url)).status).toBe(401)
      const wrong = await request(url, { headers: { ...good, 'x-api-key': 'wrong', cookie: 'session=wrong' } })
      expect(wrong.status).toBeOneOf([400, 401])
    },
  )

  it('shares no answer among callers that ask at the same time', async () => {
    const { scheme, headers } = partners()
    const held: (() => void)[] = []
    const own = await upstream((_req, res) => {
      held.push(() => res.writeHead(200, { 'cache-control': 'public, max-age=60' }).end('of the reseller'))
    })
    const url = await listening((app) => {
      app.use(using(cache()), using(authenticate(scheme)), using(proxy({ target: own.url })))
    })
    const known = request(url, { headers })
    await eventually(() => expect(held).toHaveLength(1))
    const stranger = request(url)
    const other = request(url, { headers: { 'x-api-key': 'a-wrong-one' } })
    for (const answer of held) answer()
    expect((await known).text).toBe('of the reseller')
    for (const reply of [await stranger, await other]) {
      expect(reply.status).toBe(401)
      expect(reply.text).not.toContain('of the reseller')
    }
  })
})

function keyed() {
  const { headers, scheme } = partners()
  return { key: { text: headers['x-api-key'] }, scheme }
}
