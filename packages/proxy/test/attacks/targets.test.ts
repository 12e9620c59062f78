import { answer, rawResponse, startRawUpstream } from '@postern/test-kit'
import express from 'express'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deny, expectRefused, type Gate, gate, HOSTS, head, requestLines, using } from './support.ts'

function get(target: string, ...lines: string[]): string {
  return head(`GET ${target} HTTP/1.1`, 'Host: a', ...lines)
}

/** Sends one GET and tells what came of it: the status, and the target that the upstream saw, if it saw one. */
async function ask(gateway: Gate, target: string): Promise<{ status: number; seen: string | undefined }> {
  const before = gateway.upstream.received.length
  const answered = await gateway.ask(get(target), { responses: 1 })
  const line = gateway.upstream.received.slice(before).split('\r\n', 1)[0]!
  return { status: answered.response.status, seen: line === '' ? undefined : line.split(' ')[1]! }
}

/** How a harsh upstream reads a target: decodes once, takes `\` for `/`, cuts at NUL, resolves dots, merges slashes. */
function asUpstreamReads(target: string, stripsParameters: boolean): string[] {
  const path = target
    .split(/[?#]/, 1)[0]!
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll('\\', '/')
    .split('\0', 1)[0]!
  const resolved: string[] = []
  for (const raw of path.split('/')) {
    const segment = stripsParameters ? raw.split(';', 1)[0]! : raw
    if (segment === '..') resolved.pop()
    else if (segment !== '' && segment !== '.') resolved.push(segment.toLowerCase())
  }
  return resolved
}

/** `word` with letters in any case, and now and then a percent-encoded one, once or twice. */
function spelt(word: string): fc.Arbitrary<string> {
  const letters = [...word].map((letter) => {
    const upper = letter.toUpperCase()
    const hex = letter.charCodeAt(0).toString(16)
    return fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(letter, upper) },
      { weight: 1, arbitrary: fc.constantFrom(`%${hex}`, `%${upper.charCodeAt(0).toString(16)}`, `%25${hex}`) },
    )
  })
  return fc.tuple(...letters).map((parts) => parts.join(''))
}

const BETWEEN = [
  '/',
  '//',
  '///',
  '/./',
  '/../',
  '/x/../',
  '/x/y/../../',
  '/%2e/',
  '/%2e%2e/',
  '/x/.%2e/',
  '/x/%2E./',
  '/x/..;/',
  '/x/..;a=b/',
  '/x/%2e%2e;/',
  '/;/',
  '/;x/',
  '/.;/',
  '%2f',
  '%2F',
  '%252f',
  '/x%2f..%2f',
  '/x/..%2f',
  '\\',
  '/x\\..\\',
  '%5c',
  '/x/..%5c',
  '%255c',
  '/x/%252e%252e/',
  '/x/%c0%ae%c0%ae/',
  '%c0%af',
  '%e0%80%af',
  '/x/%u002e%u002e/',
  '/%09/',
  '/%20/',
  '/%00/',
  '/x/..%00/',
  '/\xa0/',
  '/x/..\xa0/',
  '?/../',
  '#/../',
  '/x/.%00./',
  '/x/%2e%2e%3b/',
  '/x/..%3bq/',
  '/x/%2e%252e/',
  '/%2f/',
  '/.%2f',
  '/..%2f..%2f',
]
const BEHIND = [
  '',
  '',
  '/',
  '/x',
  '/.',
  '/..;/admin',
  ';x',
  ';x=1/y',
  '%3bx',
  '%00',
  '%20',
  '%09',
  '.',
  '%2e',
  '%2f',
  '%5c',
  '?x',
  '#x',
  '/%2e',
  '\xa0',
  '.json',
  'istrator',
]
const BEFORE = ['', '', '', '', 'http://a', 'HTTP://A', 'http://a/', 'https://a', '/public', '/x']

const spelling = fc
  .tuple(
    fc.constantFrom(...BEFORE),
    fc.array(fc.constantFrom(...BETWEEN), { minLength: 1, maxLength: 3 }),
    spelt('admin'),
    fc.constantFrom(...BEHIND),
  )
  .map(([before, between, word, behind]) => before + between.join('') + word + behind)

/** The generated target, asked; fails when the upstream would read what came through as /admin. */
function neverReachesAdmin(gateway: Gate, spellings: fc.Arbitrary<string>, stripsParameters: boolean): Promise<void> {
  return fc.assert(
    fc.asyncProperty(spellings, async (target) => {
      const { seen } = await ask(gateway, target)
      const read = seen === undefined ? 'nothing' : asUpstreamReads(seen, stripsParameters)[0]
      expect({ target, seen, read }).not.toEqual({ target, seen, read: 'admin' })
    }),
    { numRuns: 600 },
  )
}

describe('A rule for /admin in front of the proxy', () => {
  it('is not walked round by any spelling that an upstream reads as /admin', async () => {
    await neverReachesAdmin(await gate(), spelling, false)
  })

  it('is not walked round by path parameters either, once they are refused', async () => {
    await neverReachesAdmin(await gate({ paths: { pathParameters: 'refuse' } }), spelling, true)
  })

  it('is not walked round below a mount', async () => {
    const rules = express.Router()
    rules.use('/public/admin', deny)
    const gateway = await gate({ before: [rules], mount: '/public' })
    await neverReachesAdmin(
      gateway,
      spelling.map((target) =>
        /^http/i.test(target) ? target.replace(/^(https?:\/\/a)/i, '$1/public') : `/public${target}`,
      ),
      false,
    )
  })

  it('is not walked round when the target has a base path: nothing leaves it', async () => {
    const upstream = await using(startRawUpstream(answer()))
    const gateway = await gate({ target: `${upstream.url}/app` })
    await fc.assert(
      fc.asyncProperty(spelling, async (target) => {
        const before = upstream.received.length
        await gateway.ask(get(target), { responses: 1 })
        const seen = upstream.received.slice(before).split('\r\n', 1)[0]!.split(' ')[1]
        if (seen !== undefined)
          expect({ target, read: asUpstreamReads(seen, false)[0] }).toEqual({ target, read: 'app' })
      }),
      { numRuns: 300 },
    )
  })

  it.each(['/admin', '/admin/', '/Admin', '/ADMIN/x', '/admin?x', '/admin/..a', 'http://a/admin', 'HTTP://a/ADMIN?x'])(
    'holds for %s',
    async (target) => {
      const gateway = await gate()
      expect(await ask(gateway, target)).toEqual({ status: 403, seen: undefined })
    },
  )

  it.each(['HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'QUERY', 'PURGE', 'M-SEARCH'])(
    'holds for %s as for GET',
    async (method) => {
      const gateway = await gate()
      const answered = await gateway.ask(head(`${method} /admin HTTP/1.1`, 'Host: a', 'Content-Length: 0'), {
        responses: 1,
        methods: [method],
      })
      expect(answered.response.status).toBe(403)
      expect(gateway.upstream.received).toBe('')
    },
  )

  it.each(['/administrator', '/adminx', '/x/admin', '/a.dmin', '/admi/n'])('leaves %s alone', async (target) => {
    const gateway = await gate()
    expect(await ask(gateway, target)).toEqual({ status: 200, seen: target })
  })
})

describe.each(HOSTS)('A target that two programs could read differently, to %s, is refused', (where) => {
  it.each([
    ['a dot segment', '/public/../admin'],
    ['a dot segment at the end', '/public/..'],
    ['a single dot', '/public/./admin'],
    ['an encoded dot segment', '/public/%2e%2e/admin'],
    ['a half encoded dot segment', '/public/.%2E/admin'],
    ['a dot segment encoded twice', '/public/%252e%252e/admin'],
    ['a dot segment encoded three times', '/public/%25252e%25252e/admin'],
    ['a dot segment with a parameter', '/public/..;/admin'],
    ['a dot segment with an encoded parameter', '/public/..%3b/admin'],
    ['an encoded slash', '/public%2fadmin'],
    ['a dot segment behind an encoded slash', '/public/..%2fadmin'],
    ['a slash encoded twice', '/public%252fadmin'],
    ['a backslash', '/public\\admin'],
    ['an encoded backslash', '/public%5cadmin'],
    ['a backslash encoded twice', '/public%255cadmin'],
    ['an encoded NUL', '/admin%00.png'],
    ['an encoded CR LF', '/x%0d%0aX-Evil:1'],
    ['an encoded tab', '/admin%09'],
    ['an encoded DEL', '/admin%7f'],
    ['a fragment', '/public#/../admin'],
    ['a fragment in the query', '/public?x#y'],
    ['a repeated slash', '//admin'],
    ['a repeated slash inside', '/public//admin'],
    ['a percent without digits', '/100%'],
    ['a percent with one digit', '/%4'],
    ['a percent with other letters', '/%zz'],
    ['%u', '/%u002e%u002e/admin'],
    ['an over-long dot', '/%c0%ae%c0%ae/admin'],
    ['an over-long slash', '/public%c0%afadmin'],
    ['an over-long slash of three bytes', '/public%e0%80%afadmin'],
    ['an over-long dot in raw bytes', '/\xc0\xae\xc0\xae/admin'],
    ['a letter encoded without need', '/%61dmin'],
    ['raw bytes beyond ASCII in the path', '/caf\xc3\xa9'],
    ['raw bytes beyond ASCII in the query', '/x?caf\xc3\xa9'],
    ['a raw non-breaking space', '/admin\xa0'],
    ['no slash in front', 'admin'],
    ['a scheme that is not HTTP', 'ftp://a/x'],
    ['a scheme without slashes', 'http:/a/x'],
    ['an authority with userinfo', 'http://user@a/x'],
    ['an empty authority', 'http:///x'],
    ['an authority with a backslash', 'http://a\\@b/x'],
    ['an absolute form with a dot segment', 'http://a/public/../admin'],
    ['an absolute form without a path, with a fragment', 'http://a#/x'],
    ['an absolute form inside an origin form', '//a/http://b/'],
  ])('%s', async (_name, target) => {
    const gateway = await gate({ in: where })
    const answered = await gateway.ask(get(target))
    expectRefused(gateway, answered, 400)
    expect(answered.endedBy).toBe('end')
  })
})

describe('The proxy dials its own target and no other', () => {
  const WAYS = [
    (port: number) => `//127.0.0.1:${port}/x`,
    (port: number) => `///127.0.0.1:${port}/x`,
    (port: number) => `/@127.0.0.1:${port}/x`,
    (port: number) => `/\\127.0.0.1:${port}/x`,
    (port: number) => `\\\\127.0.0.1:${port}/x`,
    (port: number) => `@127.0.0.1:${port}/x`,
    (port: number) => `:${port}/x`,
    (port: number) => `http://127.0.0.1:${port}/x`,
    (port: number) => `http://a@127.0.0.1:${port}/x`,
    (port: number) => `http:127.0.0.1:${port}/x`,
    (port: number) => `/http://127.0.0.1:${port}/x`,
    (port: number) => `/x?url=http://127.0.0.1:${port}/`,
    (port: number) => `/%0d%0aHost:127.0.0.1:${port}/x`,
    (port: number) => `/.127.0.0.1:${port}/x`,
  ]

  it.each(WAYS.map((way) => [way(9), way] as const))('whatever the target says: %s', async (_shown, way) => {
    const trap = await using(startRawUpstream(answer(rawResponse('trapped'))))
    for (const paths of [{}, { repeatedSlashes: 'pass', encodedSlashes: 'pass', encodedUnreserved: 'pass' } as const]) {
      const gateway = await gate({ paths, host: 'preserve' })
      for (const host of ['a', `127.0.0.1:${trap.port}`]) {
        const answered = await gateway.ask(head(`GET ${way(trap.port)} HTTP/1.1`, `Host: ${host}`), { responses: 1 })
        expect([200, 400]).toContain(answered.response.status)
        expect(answered.text).not.toContain('trapped')
      }
    }
    expect(trap.connections).toHaveLength(0)
  })

  it.each([301, 302, 303, 307, 308])(
    'whatever the upstream answers: a %d is passed on, not followed',
    async (status) => {
      const trap = await using(startRawUpstream(answer(rawResponse('trapped'))))
      const location = `http://127.0.0.1:${trap.port}/secret`
      const gateway = await gate({ upstream: answer(rawResponse('moved', { Location: location }, `${status} Moved`)) })
      const answered = await gateway.ask(get('/x', 'Authorization: Bearer t', 'Cookie: a=1'), { responses: 1 })
      expect(answered.response.status).toBe(status)
      expect(answered.response.headers.location).toBe(location)
      expect(trap.connections).toHaveLength(0)
      expect(requestLines(gateway)).toHaveLength(1)
    },
  )
})

describe('A redirect of the upstream', () => {
  it.each(['/app//evil.test/x', '/app///evil.test', '/app/\\evil.test', '/app/\t/evil.test'])(
    'never becomes one to another host by taking the base path off: %s',
    async (location) => {
      const upstream = await using(startRawUpstream(answer(rawResponse('', { Location: location }, '302 Found'))))
      const gateway = await gate({ target: `${upstream.url}/app` })
      const answered = await gateway.ask(get('/x'), { responses: 1 })
      expect(answered.response.status).toBe(302)
      expect(new URL(answered.response.headers.location!, 'http://gateway.test').host).toBe('gateway.test')
    },
  )

  it('to itself comes back to the gateway, whichever slashes it has', async () => {
    const holder = { location: '' }
    const upstream = await using(
      startRawUpstream(async (connection) => {
        while ((await connection.nextRequest()) !== undefined) {
          connection.socket.write(rawResponse('', { Location: holder.location }, '302 Found'))
        }
      }),
    )
    const gateway = await gate({ target: `${upstream.url}/app` })
    for (const path of ['/app//evil.test', '/app/x', '//evil.test']) {
      holder.location = `${upstream.url}${path}`
      const answered = await gateway.ask(get('/x'), { responses: 1 })
      expect(new URL(answered.response.headers.location!, 'http://a').host).toBe('a')
    }
  })
})

describe.each(HOSTS)('A legitimate odd target, through %s, arrives byte for byte', (where) => {
  it.each([
    '/',
    '/?',
    '/x?',
    '/x??',
    '/x?&&=&a&b=&=c',
    '/x?a=1&a=2&a[]=3&a[b]=4',
    '/x?q=a+b%20c%2B&path=../../etc&url=http://b//c',
    '/x?%zz&%&100%',
    '/x?"<>`{}|\\^[]',
    '/caf%C3%A9/%E2%82%AC',
    '/a%20b/c+d',
    '/a%2Cb%3Ac%40d',
    '/a;b=c;d/e;f',
    "/a[0]/(b)/c!d$e&f'g*h,i:j@k=l",
    '/a..b/..c/d../...',
    '/.well-known/x',
    '/a.b/.c',
    '/a%25b',
    '/a%2525b',
    '/~user/-_./x',
    '/trailing/',
    '/A/cAsE',
    `/${'long/'.repeat(1_000)}`,
    '/{a}/|b|/^c/`d/"e"/<f>',
  ])('%j', async (target) => {
    const gateway = await gate({ in: where })
    expect(await ask(gateway, target)).toEqual({ status: 200, seen: target })
  })

  it('an encoded slash where the options let it pass', async () => {
    const gateway = await gate({ in: where, paths: { encodedSlashes: 'pass' } })
    expect(await ask(gateway, '/a%2Fb%2fc?x=%2F')).toEqual({ status: 200, seen: '/a%2Fb%2fc?x=%2F' })
    expect((await ask(gateway, '/a%2f..%2fb')).status).toBe(400)
  })

  it('repeated slashes where the options let them pass', async () => {
    const gateway = await gate({ in: where, paths: { repeatedSlashes: 'pass' } })
    expect(await ask(gateway, '/a//b///c//')).toEqual({ status: 200, seen: '/a//b///c//' })
  })

  it('any path of plain characters and needed escapes, with any query', async () => {
    const gateway = await gate({ in: where })
    const plain = fc.constantFrom(..."abzAZ09-_~!$&'()*+,;=:@")
    const escaped = fc.constantFrom(
      '%20',
      '%21',
      '%3F',
      '%23',
      '%C3%A9',
      '%E2%82%AC',
      '%5B',
      '%40',
      '%7B',
      '%22',
      '%3C',
    )
    const segment = fc
      .tuple(plain, fc.array(fc.oneof(plain, escaped, fc.constantFrom('.', '..')), { maxLength: 8 }))
      .map(([first, rest]) => first + rest.join(''))
    const query = fc.array(fc.integer({ min: 0x21, max: 0x7e }), { maxLength: 20 }).map((codes) => {
      const text = String.fromCharCode(...codes).replaceAll('#', '')
      return text === '' ? '' : `?${text}`
    })
    const target = fc.tuple(fc.array(segment, { maxLength: 5 }), fc.constantFrom('', '/'), query)
    await fc.assert(
      fc.asyncProperty(target, async ([segments, end, search]) => {
        const path = `/${segments.join('/')}${segments.length > 0 ? end : ''}${search}`
        expect(await ask(gateway, path)).toEqual({ status: 200, seen: path })
      }),
      { numRuns: 200 },
    )
  })
})

describe('A mount', () => {
  it.each([
    ['/api', '/'],
    ['/api/', '/'],
    ['/api?x=1', '/?x=1'],
    ['/api/x%20y?z', '/x%20y?z'],
    ['/api/x/', '/x/'],
    ['http://a/api/x?y', '/x?y'],
  ])('takes itself off and nothing else: %s becomes %s', async (target, seen) => {
    const gateway = await gate({ mount: '/api' })
    expect(await ask(gateway, target)).toEqual({ status: 200, seen })
  })

  it.each(['/apiary', '/api2/x', '/xapi'])('ends at a segment: %s is not its own', async (target) => {
    const gateway = await gate({ mount: '/api' })
    expect(await ask(gateway, target)).toEqual({ status: 404, seen: undefined })
  })
})
