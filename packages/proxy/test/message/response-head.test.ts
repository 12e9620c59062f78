import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isForbiddenTrailer, isHopByHopResponse } from '../../src/message/header-names.ts'
import { allowedTrailers, cleanResponseHead, mergeWithEarlier, responseFault } from '../../src/message/response-head.ts'

describe('responseFault()', () => {
  it('finds none in a plain head', () => {
    for (const status of [200, 204, 304, 404, 599])
      expect(responseFault(status, { 'content-length': '5' })).toBeUndefined()
    expect(responseFault(200, { 'transfer-encoding': 'Chunked' })).toBeUndefined()
    expect(responseFault(200, {})).toBeUndefined()
  })

  it('collapses equal lengths', () => {
    const headers: Record<string, string | string[]> = { 'content-length': ['5', '5'] }
    expect(responseFault(200, headers)).toBeUndefined()
    expect(headers['content-length']).toBe('5')
  })

  it.each([0, 99, 100, 199, 600, 999, 1000, Number.NaN])('finds one in the status %d', (status) => {
    expect([status, responseFault(status, {})]).toEqual([status, expect.any(String)])
  })

  it.each([
    ['both framings', { 'content-length': '5', 'transfer-encoding': 'chunked' }],
    ['different lengths', { 'content-length': ['5', '6'] }],
    ['a list of lengths', { 'content-length': '5, 5' }],
    ['an empty length', { 'content-length': '' }],
    ['a negative length', { 'content-length': '-5' }],
    ['a length with a sign', { 'content-length': '+5' }],
    ['a length beyond numbers', { 'content-length': '9007199254740993' }],
    ['another coding', { 'transfer-encoding': 'gzip, chunked' }],
    ['two codings', { 'transfer-encoding': ['chunked', 'chunked'] }],
    ['an empty coding', { 'transfer-encoding': '' }],
  ])('finds one in %s', (_what, headers) => {
    expect(responseFault(200, headers)).toEqual(expect.any(String))
  })
})

const name = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9_-]{0,12}$/),
  fc.constantFrom(
    'connection',
    'keep-alive',
    'transfer-encoding',
    'upgrade',
    'te',
    'trailer',
    '__proto__',
    'constructor',
    'set-cookie',
    'content-length',
  ),
)
const lines = fc.oneof(
  fc.stringMatching(/^[!-~]{0,10}$/),
  fc.array(fc.stringMatching(/^[!-~]{0,10}$/), { minLength: 2, maxLength: 3 }),
)
const head = fc
  .array(fc.tuple(name, lines))
  .map((entries) => Object.fromEntries(entries) as Record<string, string | string[]>)

describe('cleanResponseHead()', () => {
  it('leaves nothing of one connection, and everything else as it came, in order', () => {
    fc.assert(
      fc.property(head, (received) => {
        const { connection: _, ...others } = received
        const { headers } = cleanResponseHead(200, others)
        const kept = Object.entries(others).filter(([each]) => !isHopByHopResponse(each))
        expect(Object.entries(headers)).toEqual(kept)
        expect(Object.getPrototypeOf(headers)).toBe(Object.prototype)
      }),
    )
  })

  it('leaves nothing that Connection names, but for what it may not name', () => {
    const received = {
      connection: ['X-Hop, Set-Cookie', 'content-type'],
      'x-hop': '1',
      'set-cookie': ['a=1'],
      'content-type': 'text/plain',
    }
    expect(cleanResponseHead(200, received).headers).toEqual({ 'set-cookie': ['a=1'], 'content-type': 'text/plain' })
  })

  it('takes the length off a 204 and a 101, and leaves it on a 304', () => {
    expect(cleanResponseHead(204, { 'content-length': '5' }).headers).toEqual({})
    expect(cleanResponseHead(101, { 'content-length': '0' }).headers).toEqual({})
    expect(cleanResponseHead(304, { 'content-length': '5' }).headers).toEqual({ 'content-length': '5' })
  })

  it('names the announced trailers that may come', () => {
    expect(cleanResponseHead(200, { trailer: ['X-Sum, Content-Length', ' GRPC-Status ,, b@d'] }).trailers).toEqual([
      'x-sum',
      'grpc-status',
    ])
    expect(cleanResponseHead(200, { trailer: 'content-length' }).trailers).toBeUndefined()
    expect(cleanResponseHead(200, {}).trailers).toBeUndefined()
  })
})

describe('allowedTrailers()', () => {
  it('keeps all that is not forbidden, and nothing that is', () => {
    fc.assert(
      fc.property(head, (trailers) => {
        const allowed = allowedTrailers(trailers)
        const kept = Object.entries(trailers).filter(([each]) => !isForbiddenTrailer(each))
        expect(allowed === undefined ? [] : Object.entries(allowed)).toEqual(kept)
      }),
    )
  })
})

describe('mergeWithEarlier()', () => {
  it('adds to Vary and Set-Cookie what earlier handlers have set, and to nothing else', () => {
    const res = new ServerResponse(new IncomingMessage(new Socket()))
    res.setHeader('vary', ['origin', 'accept'])
    res.setHeader('set-cookie', 'a=1')
    res.setHeader('x-other', 'mine')
    const headers: Record<string, string | string[]> = {
      vary: 'cookie',
      'set-cookie': ['b=2', 'c=3'],
      'x-other': 'theirs',
    }
    mergeWithEarlier(res, headers)
    expect(headers).toEqual({
      vary: 'origin, accept, cookie',
      'set-cookie': ['a=1', 'b=2', 'c=3'],
      'x-other': 'theirs',
    })
  })

  it('leaves a head alone that has neither', () => {
    const res = new ServerResponse(new IncomingMessage(new Socket()))
    res.setHeader('vary', 'origin')
    const headers = { 'x-a': '1' }
    mergeWithEarlier(res, headers)
    expect(headers).toEqual({ 'x-a': '1' })
  })
})
