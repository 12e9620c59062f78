import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { classify, HeaderClass } from '../../src/message/header-names.ts'
import { isRefusedHead, type RefusedHead, type RequestHead, readRequestHead } from '../../src/message/request-head.ts'

interface Given {
  readonly version?: readonly [number, number]
  readonly method?: string
  readonly authority?: string
  readonly reserved?: readonly string[]
  readonly overrideHeaders?: 'remove' | 'pass'
  readonly maxHeadersCount?: number | null
}

function read(rawHeaders: readonly string[], given: Given = {}): RequestHead | RefusedHead {
  const [major, minor] = given.version ?? [1, 1]
  const req = {
    rawHeaders,
    method: given.method ?? 'GET',
    httpVersionMajor: major,
    httpVersionMinor: minor,
    httpVersion: `${major}.${minor}`,
    socket: { server: { maxHeadersCount: given.maxHeadersCount ?? null } },
  } as unknown as IncomingMessage
  const reserved = given.reserved === undefined ? undefined : new Set(given.reserved)
  const target = { path: '/x', query: '', authority: given.authority }
  return readRequestHead(req, target, { overrideHeaders: given.overrideHeaders ?? 'remove' }, reserved)
}

function understood(rawHeaders: readonly string[], given?: Given): RequestHead {
  const head = read(rawHeaders, given)
  if (isRefusedHead(head)) throw new Error(`refused: ${head.problem}`)
  return head
}

function problemOf(rawHeaders: readonly string[], given?: Given): string | undefined {
  const head = read(rawHeaders, given)
  return isRefusedHead(head) ? head.problem : undefined
}

const HOST = ['Host', 'a']

describe('readRequestHead()', () => {
  it('keeps end-to-end fields as they came, in order, several lines apart', () => {
    const lines = ['X-B', '2', 'x-a', '1', 'X-B', '3', 'Cookie', 'a=1', 'Cookie', 'b=2', 'ACCEPT', '*/*']
    expect(understood([...HOST, ...lines]).headers).toEqual([...lines, 'via', '1.1 postern'])
  })

  const name = fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/),
    fc.constantFrom(
      'Keep-Alive',
      'te',
      'Proxy-Authorization',
      'X_Forwarded_For',
      'x-forwarded-host',
      'X-Original-URL',
      'Upgrade',
      'trailer',
      'Expect',
      'PROXY',
      'via',
    ),
  )
  const value = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?$/)

  it('keeps exactly the fields that are end-to-end, whatever is sent', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (lines) => {
        const plain = lines.filter(
          ([each]) =>
            ![
              'host',
              'content-length',
              'transfer-encoding',
              'connection',
              'te',
              'via',
              'authorization',
              'content-type',
            ].includes(each.toLowerCase()),
        )
        const kept = plain.filter(([each]) => classify(each) === HeaderClass.Forward).flat()
        expect(understood([...HOST, ...plain.flat()]).headers).toEqual([...kept, 'via', '1.1 postern'])
      }),
    )
  })

  it('keeps nothing that Connection names, but for what no client may take away', () => {
    fc.assert(
      fc.property(
        fc.array(name, { maxLength: 6 }),
        fc.array(fc.tuple(name, value), { maxLength: 12 }),
        (listed, lines) => {
          const head = read([...HOST, 'Connection', listed.join(', '), ...lines.flat()])
          if (isRefusedHead(head)) return
          const kept = head.headers.filter((_, i) => i % 2 === 0).map((each) => each.toLowerCase())
          const allowed = new Set(['via', 'authorization', 'cookie', 'content-type', 'range', 'origin', 'date'])
          for (const each of listed)
            if (!allowed.has(each.toLowerCase())) expect(kept).not.toContain(each.toLowerCase())
        },
      ),
    )
  })

  it('keeps nothing under a reserved name, in any spelling', () => {
    const spelling = fc
      .array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 11, maxLength: 11 })
      .map((flags) =>
        [...'x-auth-user']
          .map((c, i) => (c === '-' ? (flags[i]![0] ? '_' : '-') : flags[i]![1] ? c.toUpperCase() : c))
          .join(''),
      )
    fc.assert(
      fc.property(spelling, (each) => {
        expect(understood([...HOST, each, 'root', 'X-Auth-Users', '1'], { reserved: ['x-auth-user'] }).headers).toEqual(
          ['X-Auth-Users', '1', 'via', '1.1 postern'],
        )
      }),
    )
  })

  it('reads one framing', () => {
    expect(understood(HOST)).toMatchObject({ contentLength: undefined, chunked: false })
    expect(understood([...HOST, 'Content-Length', '5'])).toMatchObject({ contentLength: 5, chunked: false })
    expect(understood([...HOST, 'Content-Length', '5', 'content-length', '5'])).toMatchObject({ contentLength: 5 })
    expect(understood([...HOST, 'Transfer-Encoding', 'Chunked'])).toMatchObject({
      contentLength: undefined,
      chunked: true,
    })
  })

  it.each<readonly [what: string, lines: readonly string[]]>([
    ['both framings', ['Content-Length', '5', 'Transfer-Encoding', 'chunked']],
    ['both framings, the other way round', ['Transfer-Encoding', 'chunked', 'Content-Length', '5']],
    ['two lengths', ['Content-Length', '5', 'Content-Length', '6']],
    ['two spellings of one length', ['Content-Length', '5', 'Content-Length', '05']],
    ['two transfer codings', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ...['', '+5', '-1', '0x5', '5, 5', '5 ', ' 5', '1e3', '5_0', '٥', '9007199254740993', '99999999999999999'].map(
      (length): [string, string[]] => [`a length of ${JSON.stringify(length)}`, ['Content-Length', length]],
    ),
  ])('refuses %s', (_what, lines) => {
    expect(problemOf([...HOST, ...lines])).toBe('bad_request_framing')
  })

  it.each([
    '',
    'identity',
    'gzip',
    'gzip, chunked',
    'chunked, chunked',
    'xchunked',
    'chunked;a=b',
    '"chunked"',
    '\x0bchunked',
    'chunked ',
  ])('refuses the transfer coding %j', (coding) => {
    expect(problemOf([...HOST, 'Transfer-Encoding', coding])).toBe('unsupported_transfer_coding')
  })

  it('refuses a transfer coding in HTTP/1.0', () => {
    expect(problemOf([...HOST, 'Transfer-Encoding', 'chunked'], { version: [1, 0] })).toBe('bad_request_framing')
  })

  it.each([
    [0, 9],
    [2, 0],
    [1, 2],
    [3, 0],
  ] as const)('refuses the version %d.%d', (major, minor) => {
    expect(problemOf(HOST, { version: [major, minor] })).toBe('unsupported_http_version')
  })

  it.each(['DESCRIBE', 'SETUP', 'SOURCE', 'TEARDOWN'])('refuses %s, which only RTSP and ICE have', (method) => {
    expect(problemOf(HOST, { method, version: [1, 0] })).toBe('unsupported_http_version')
  })

  it.each(['a', 'A.test:80', '[::1]:8080', '127.0.0.1'])('takes the Host %s', (host) => {
    expect(understood(['Host', host]).host).toBe(host)
  })

  it.each(['', 'a b', 'a/b', 'u@a', 'a,b', 'a:b', 'a\\b', '[::1', 'é', 'a%00'])('refuses the Host %j', (host) => {
    expect(problemOf(['Host', host])).toBe('bad_host')
  })

  it('refuses a missing and a second Host, and takes none in HTTP/1.0', () => {
    expect(problemOf([])).toBe('bad_host')
    expect(problemOf(['Host', 'a', 'host', 'a'])).toBe('bad_host')
    expect(understood([], { version: [1, 0] }).host).toBe('')
  })

  it('wants the Host of an absolute target to be its authority, in any case', () => {
    expect(understood(['Host', 'A.Test'], { authority: 'a.test' }).host).toBe('A.Test')
    expect(problemOf(['Host', 'b'], { authority: 'a' })).toBe('bad_host')
  })

  it('refuses as many lines as Node would have cut', () => {
    const lines = (count: number) => Array.from({ length: count }, (_, i) => [`x-${i}`, '1']).flat()
    expect(problemOf([...HOST, ...lines(998)])).toBeUndefined()
    expect(problemOf([...HOST, ...lines(999)])).toBe('too_many_headers')
    expect(problemOf([...HOST, ...lines(9)], { maxHeadersCount: 10 })).toBe('too_many_headers')
    expect(problemOf([...HOST, ...lines(8)], { maxHeadersCount: 10 })).toBeUndefined()
    expect(problemOf([...HOST, ...lines(999)], { maxHeadersCount: 0 })).toBe('too_many_headers')
  })

  it('counts the gateways that a request has passed', () => {
    expect(understood(HOST).hops).toBe(0)
    expect(
      understood([...HOST, 'Via', '1.1 postern, 1.0 other (postern), 1.1 postern', 'via', '1.1\tpostern']).hops,
    ).toBe(3)
    expect(understood([...HOST, 'Via', 'postern', 'Via', ',, ,', 'Via', '1.1 posterns']).hops).toBe(0)
  })

  it.each(['Authorization', 'Content-Type'])('takes one %s, or equal ones as one', (name) => {
    expect(understood([...HOST, name, 'a', 'X-B', '1', name.toLowerCase(), 'a']).headers).toEqual([
      name,
      'a',
      'X-B',
      '1',
      'via',
      '1.1 postern',
    ])
    expect(problemOf([...HOST, name, 'a', 'X-B', '1', name.toUpperCase(), 'b'])).toBe('bad_request_header')
    expect(problemOf([...HOST, name, 'a', name, ''])).toBe('bad_request_header')
  })

  it('keeps "TE: trailers" and nothing else of TE', () => {
    expect(understood([...HOST, 'TE', 'Trailers']).headers).toEqual(['te', 'trailers', 'via', '1.1 postern'])
    expect(understood([...HOST, 'TE', 'trailers, gzip']).headers).toEqual(['via', '1.1 postern'])
  })

  it('passes override headers only where it is told to', () => {
    const lines = ['X-HTTP-Method-Override', 'DELETE']
    expect(understood([...HOST, ...lines]).headers).toEqual(['via', '1.1 postern'])
    expect(understood([...HOST, ...lines], { overrideHeaders: 'pass' }).headers).toEqual([
      ...lines,
      'via',
      '1.1 postern',
    ])
  })
})
