import type { Identity } from '@postern/contracts'
import { eventually, request } from '@postern/test-kit'
import type { RequestHandler } from 'express'
import { describe, expect, test } from 'vitest'
import { type CacheOptions, memoryStore } from '../../src/index.ts'
import { ask, type Gateway, gate, gateway, HandClock, origin, warnings } from './support.ts'

type Fields = Record<string, string | string[]>

/** A gateway in front of an upstream that answers everybody with his own name. */
async function named(headers: Fields, options: CacheOptions = {}, before: RequestHandler[] = []) {
  const upstream = await origin((req, res) => {
    for (const name in headers) res.setHeader(name, headers[name]!)
    res.end(`for ${req.headers['x-me'] ?? 'nobody'} ${upstream.requests.length}`)
  })
  return { ...(await gateway({ target: upstream, cache: options, before })), upstream }
}

/** Two clients in turn: true when the second one got what the first one got. */
async function isShared({ url }: Pick<Gateway, 'url'>, first: Fields = {}, second: Fields = {}): Promise<boolean> {
  const one = await request(`${url}/a`, { headers: { 'x-me': 'ann', ...first } })
  const two = await request(`${url}/a`, { headers: { 'x-me': 'bob', ...second } })
  return one.text === two.text
}

describe('F1: an answer to a request with Authorization', () => {
  const ann = { authorization: 'Bearer ann' }
  test('is given to nobody else', async () => {
    expect(await isShared(await named({ 'cache-control': 'max-age=60' }), ann)).toBe(false)
    expect(await isShared(await named({ 'cache-control': 'max-age=60' }), ann, ann)).toBe(false)
  })

  test.each(['public, max-age=60', 's-maxage=60', 'max-age=60, must-revalidate'])(
    'is shared where the origin says that it may be (%s)',
    async (value) => {
      expect(await isShared(await named({ 'cache-control': value }), ann)).toBe(true)
    },
  )

  test('with no lifetime but an estimated one or the option’s is given to nobody else', async () => {
    const modified = { 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' }
    expect(await isShared(await named(modified), ann)).toBe(false)
    expect(await isShared(await named({}, { defaultTtlMs: 60_000 }), ann)).toBe(false)
    // So it is without Authorization, to know that the test can tell.
    expect(await isShared(await named(modified))).toBe(true)
    expect(await isShared(await named({}, { defaultTtlMs: 60_000 }))).toBe(true)
  })
})

describe('F2: an answer that sets a cookie', () => {
  const cookie = { 'set-cookie': ['session=1; Path=/', 'b=2'] }
  test('is given to nobody else', async () => {
    expect(await isShared(await named({ 'cache-control': 'max-age=60', ...cookie }))).toBe(false)
  })

  test.each<[string, string, CacheOptions]>([
    ['public', 'public, max-age=60', {}],
    ["setCookie: 'strip'", 'max-age=60', { setCookie: 'strip' }],
  ])('is shared without its cookie (%s); the client that it is for gets it', async (_name, value, options) => {
    const made = await named({ 'cache-control': value, ...cookie }, options)
    expect((await request(`${made.url}/a`)).headers['set-cookie']).toEqual(cookie['set-cookie'])
    const hit = await request(`${made.url}/a`)
    expect(hit.headers['cache-status']).toContain('hit')
    expect(hit.headers).not.toHaveProperty('set-cookie')
  })

  test('does not reach those who wait for it, either', async () => {
    const hold = gate()
    const upstream = await origin(async (_req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'public, max-age=60', 'set-cookie': 'session=first' })
      res.end('public')
    })
    const { url, cache } = await gateway({ target: upstream })
    const replies = [ask(`${url}/a`), ask(`${url}/a`), ask(`${url}/a`)]
    await eventually(() => cache.stats.collapsed === 2)
    hold.open()
    const cookies = (await Promise.all(replies)).map((reply) => reply.headers['set-cookie'])
    expect(cookies.filter((each) => each !== undefined)).toEqual([['session=first']])
  })
})

test.each<[string | string[]]>([
  ['no-store'],
  ['NO-STORE, max-age=60'],
  ['max-age=60,\tno-store'],
  [['max-age=60', 'no-store']],
  ['max-age=60, private'],
  ['max-age=60, private=""'],
  ['max-age=60, private="x'],
  ['max-age=60, "private"'],
  ['max-age=60, no-store="x"'],
  ['max-age=60 private'],
  ['max-age=60; no-store'],
  ['no-cache, max-age=60'],
  [['max-age=60', 'no-cache']],
  ['max-age="60'],
  ['max-age=60, max-age=0'],
])('F3: Cache-Control: %j lets nobody else have it unasked', async (value) => {
  expect(await isShared(await named({ 'cache-control': value }))).toBe(false)
})

test.each<[string | string[]]>([['*'], ['accept, *'], [['accept', '*']], ['accept, é'], ['x-me']])(
  'F4: Vary: %j keeps it from others',
  async (value) => {
    expect(await isShared(await named({ 'cache-control': 'max-age=60', vary: value }))).toBe(false)
  },
)

test('F5: another host, another port or another scheme has answers of its own', async () => {
  const made = await named({ 'cache-control': 'max-age=60' })
  const one = { host: 'one.example' }
  expect(await isShared(made, one, { host: 'two.example' })).toBe(false)
  expect(await isShared(made, one, { host: 'one.example:81' })).toBe(false)
  expect(await isShared(made, one, { host: 'ONE.example:80' })).toBe(true)
})

describe('callers kept apart', () => {
  const identify: RequestHandler = (req, _res, next) => {
    const subject = req.get('x-user')
    if (subject !== undefined) req.gateway!.identity = identityOf(subject, req.get('x-scopes')?.split(' '))
    next()
  }
  function identityOf(subject: string, scopes: string[] = []): Identity {
    return { scheme: 'key', subject, scopes, roles: [], claims: {} }
  }

  test('without a partition, answers to callers with an identity are not stored', async () => {
    const made = await named({ 'cache-control': 'max-age=60' }, {}, [identify])
    expect(await isShared(made, { 'x-user': 'ann' }, { 'x-user': 'ann' })).toBe(false)
  })

  test("with partition: 'identity' each caller has his own, and nobody another's", async () => {
    const made = await named({ 'cache-control': 'max-age=60' }, { partition: 'identity' }, [identify])
    expect(await isShared(made, { 'x-user': 'ann' }, { 'x-user': 'ann' })).toBe(true)
    expect(await isShared(made, { 'x-user': 'ann' }, { 'x-user': 'bob' })).toBe(false)
    expect(await isShared(made, { 'x-user': 'ann' }, {})).toBe(false)
    expect(await isShared(made, { 'x-user': 'ann', 'x-scopes': 'read' }, { 'x-user': 'ann' })).toBe(false)
  })

  test('with a function, those of one text share, and who has none shares with those who have none', async () => {
    const partition = (req: { headers: NodeJS.Dict<string | string[]> }): string | undefined =>
      req.headers['x-tenant'] as string | undefined
    const made = await named({ 'cache-control': 'max-age=60' }, { partition })
    expect(await isShared(made, { 'x-tenant': 'red' }, { 'x-tenant': 'red' })).toBe(true)
    expect(await isShared(made, { 'x-tenant': 'red' }, { 'x-tenant': 'blue' })).toBe(false)
    expect(await isShared(made, { 'x-tenant': 'red' }, {})).toBe(false)
    expect(await isShared(made, {}, {})).toBe(true)
  })

  test('an empty text is the same as none', async () => {
    const partition = (req: { headers: NodeJS.Dict<string | string[]> }): string => `${req.headers['x-tenant'] ?? ''}`
    const made = await named({ 'cache-control': 'max-age=60' }, { partition })
    for (const headers of [{}, { 'x-tenant': '' }, { 'x-tenant': ' ' }]) await request(`${made.url}/a`, { headers })
    expect(made.upstream.requests.length).toBe(1)
  })

  test('do not wait for each other', async () => {
    const hold = gate()
    const upstream = await origin(async (req, res) => {
      await hold.opened
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end(`for ${req.headers['x-user']}`)
    })
    const { url } = await gateway({ target: upstream, cache: { partition: 'identity' }, before: [identify] })
    const replies = ['ann', 'bob', 'eve'].map((user) => ask(`${url}/a`, { headers: { 'x-user': user } }))
    await eventually(() => upstream.requests.length === 3).finally(hold.open)
    expect((await Promise.all(replies)).map((reply) => reply.text)).toEqual(['for ann', 'for bob', 'for eve'])
  })

  test.each<[string, CacheOptions]>([
    ['without a partition', { name: 'late' }],
    ["with partition: 'identity', which it cannot know", { name: 'late-identity', partition: 'identity' }],
  ])('mounted before authentication, the cache warns and stores nothing for callers (%s)', async (_name, options) => {
    const warned = warnings('POSTERN_CACHE_BEFORE_AUTH')
    const upstream = await origin((req, res) => {
      res.writeHead(200, { 'cache-control': 'max-age=60' })
      res.end(`for ${req.headers['x-user']}`)
    })
    const made = await gateway({ target: upstream, cache: options, behind: [identify] })
    for (const user of ['ann', 'bob', 'eve']) {
      expect((await request(`${made.url}/a`, { headers: { 'x-user': user } })).text).toBe(`for ${user}`)
    }
    await eventually(() => warned.length === 1)
    expect(warned[0]!.message).toContain('Mount cache() behind authenticate()')
    expect(made.cache.stats.responses).toBe(0)
  })
})

test('F13: 30 equal misses of what may be shared are one upstream request', async () => {
  const made = await named({ 'cache-control': 'max-age=60' })
  const texts = await Promise.all(Array.from({ length: 30 }, async () => (await request(`${made.url}/a`)).text))
  expect(new Set(texts).size).toBe(1)
  expect(made.upstream.requests.length).toBe(1)
})

test('F14: what is served from the store has no fields of the connection, an Age, and the Date of the original', async () => {
  const clock = new HandClock()
  const date = new Date(clock.wallNow()).toUTCString()
  const made = await named(
    {
      'cache-control': 'max-age=60',
      date,
      connection: 'x-hop',
      'x-hop': '1',
      'keep-alive': 'timeout=5',
      'proxy-authenticate': 'Basic',
      trailer: 'x-trailer',
      'x-kept': '1',
    },
    { clock },
  )
  await request(`${made.url}/a`)
  clock.advance(5_000)
  const { headers } = await request(`${made.url}/a`)
  expect(headers).toMatchObject({ age: '5', date, 'x-kept': '1' })
  for (const name of ['x-hop', 'keep-alive', 'proxy-authenticate', 'trailer']) expect(headers).not.toHaveProperty(name)
})

test('F15: past its lifetime it is not served unasked', async () => {
  const clock = new HandClock()
  const made = await named({ 'cache-control': 'max-age=60' }, { clock })
  await request(`${made.url}/a`)
  clock.advance(59_000)
  expect((await request(`${made.url}/a`)).text).toBe('for nobody 1')
  clock.advance(2_000)
  expect((await request(`${made.url}/a`)).text).toBe('for nobody 2')
})

describe('F16: what clients choose does not fill the memory', () => {
  test('many URLs stay within maxBytes', async () => {
    const store = memoryStore({ maxBytes: 256 * 1_024 })
    const handler: RequestHandler = (_req, res) => void res.set('cache-control', 'max-age=60').send('x'.repeat(500))
    const { url, cache } = await gateway({ behind: [handler], cache: { store } })
    for (let i = 0; i < 1_000; i++) await request(`${url}/${i}-${'y'.repeat(200)}`)
    expect(cache.stats.bytes).toBeLessThanOrEqual(256 * 1_024)
    expect(cache.stats.evictions).toBeGreaterThan(0)
  })

  test('many variants of one URL stay within maxVariants, also of fields that are no part of the key', async () => {
    const store = memoryStore({ maxVariants: 8 })
    const made = await named({ 'cache-control': 'max-age=60', vary: 'x-any' }, { store })
    for (let i = 0; i < 50; i++) {
      await request(`${made.url}/a`, { headers: { 'x-any': String(i), 'x-forwarded-host': `h${i}.example` } })
    }
    expect(made.cache.stats.responses).toBe(8)
  })
})

test('F17: header fields of 100 kB are answered like any other', async () => {
  const odd = [',', '"', '\\', 'max-age=', 'private="', '=;,"\t'].map((piece) =>
    piece.repeat(100_000 / piece.length).trim(),
  )
  const handler: RequestHandler = (req, res) => {
    const value = odd[Number(req.query.i)]!
    // Too long for a client of node:http to read: they end with the answer's own head.
    res.set({ 'cache-control': value, vary: value.replaceAll('"', 'x'), 'cache-tag': value })
    res.send('answered')
  }
  const strip: RequestHandler = (_req, res, next) => {
    const writeHead = res.writeHead.bind(res) as (status: number, reason: string, headers: object) => typeof res
    res.writeHead = ((status: number, reason: string, headers: Record<string, string>) =>
      writeHead(
        status,
        reason,
        Object.fromEntries(Object.entries(headers).filter(([, value]) => value.length < 1_000)),
      )) as typeof res.writeHead
    next()
  }
  const { url, cache } = await gateway({ before: [strip], behind: [handler], cache: { defaultTtlMs: 60_000 } })
  for (let i = 0; i < odd.length; i++) expect((await request(`${url}/a?i=${i}`)).text).toBe('answered')
  expect(cache.stats.responses).toBe(0)
})
