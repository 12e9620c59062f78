import type { Exchange } from '@postern/contracts'
import express from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type LoggerOptions, logger } from '../src/index.ts'
import { Lines, serve } from './support.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`

/** One request through a logger: its answer, its line, and the edits that the proxy would apply. */
async function exchange(options: LoggerOptions, headers: Record<string, string>, trustProxy: string | false = false) {
  const lines = new Lines()
  const log = logger({ stream: lines, flushIntervalMs: 0, ...options })
  onTestFinished(() => log.close())
  const app = express()
  app.set('trust proxy', trustProxy)
  let seen: Exchange | undefined
  app.use(log, (req, res) => {
    seen = req.gateway
    res.end()
  })
  const response = await fetch((await serve(app)).url, { headers })
  const line = await lines.one()
  const sent = new Map<string, string | undefined>()
  for (const { op, name, value } of seen!.outgoing.requestHeaders ?? [])
    sent.set(name, op === 'set' ? value : undefined)
  return { line, response, outgoing: seen!.outgoing, sent }
}

describe('the request id', () => {
  it('is the client’s, in the line, in the answer and towards the upstream', async () => {
    const { line, response, outgoing, sent } = await exchange({}, { 'x-request-id': 'abc-1' })
    expect(line.id).toBe('abc-1')
    expect(response.headers.get('x-request-id')).toBe('abc-1')
    expect(sent.get('x-request-id')).toBe('abc-1')
    expect(outgoing.reserved).toEqual(new Set(['x-request-id']))
  })

  it('is made when there is none, or none that can be used', async () => {
    for (const headers of [{}, { 'x-request-id': 'two words' }, { 'x-request-id': 'x'.repeat(129) }]) {
      const { line, response, sent } = await exchange({}, headers as Record<string, string>)
      expect(line.id).toMatch(UUID)
      expect(response.headers.get('x-request-id')).toBe(line.id)
      expect(sent.get('x-request-id')).toBe(line.id)
    }
  })

  it('is told under another name, or not at all, when asked to', async () => {
    const renamed = await exchange({ requestIdHeader: 'X-Trace' }, { 'x-request-id': 'abc-1' })
    expect(renamed.response.headers.get('x-trace')).toBe('abc-1')
    expect(renamed.response.headers.has('x-request-id')).toBe(false)
    const silent = await exchange({ requestIdHeader: false }, { 'x-request-id': 'abc-1' })
    expect(silent.response.headers.has('x-request-id')).toBe(false)
    expect(silent.sent.get('x-request-id')).toBe('abc-1')
  })

  it('replaces the one in an upstream’s answer', async () => {
    const { outgoing } = await exchange({}, { 'x-request-id': 'abc-1' })
    expect(outgoing.responseHeaders).toEqual([{ op: 'set', name: 'x-request-id', value: 'abc-1' }])
  })

  it('is nobody’s but ours when no client is trusted', async () => {
    const { line, sent } = await exchange({ trustRequestId: false }, { 'x-request-id': 'abc-1' }, 'loopback')
    expect(line.id).toMatch(UUID)
    expect(sent.get('x-request-id')).toBe(line.id)
  })

  it('is taken from trusted peers only, when asked to', async () => {
    const options: LoggerOptions = { trustRequestId: 'trusted-peers' }
    expect((await exchange(options, { 'x-request-id': 'abc-1' }, 'loopback')).line.id).toBe('abc-1')
    expect((await exchange(options, { 'x-request-id': 'abc-1' })).line.id).toMatch(UUID)
  })
})

describe('traceparent', () => {
  it('goes on as it came, and names the trace in the line', async () => {
    const { line, sent } = await exchange({ generateTraceparent: true }, { traceparent: TRACEPARENT })
    expect(line.traceId).toBe(TRACE)
    expect(sent.has('traceparent')).toBe(false)
  })

  it('goes no further when it is malformed, nor does its state', async () => {
    const { line, sent } = await exchange({}, { traceparent: 'forged', tracestate: 'a=1' })
    expect(line).not.toHaveProperty('traceId')
    expect(sent.get('traceparent')).toBeUndefined()
    expect([...sent.keys()].sort()).toEqual(['traceparent', 'tracestate', 'x-request-id'])
  })

  it('is not invented', async () => {
    const { line, sent } = await exchange({}, {})
    expect(line).not.toHaveProperty('traceId')
    expect(sent.has('traceparent')).toBe(false)
  })

  it('is made when asked to, also in place of a malformed one', async () => {
    for (const headers of [{}, { traceparent: 'forged' }] as Record<string, string>[]) {
      const { line, sent } = await exchange({ generateTraceparent: true }, headers)
      expect(line.traceId).toMatch(/^[0-9a-f]{32}$/)
      expect(sent.get('traceparent')).toMatch(new RegExp(`^00-${line.traceId}-[0-9a-f]{16}-01$`))
    }
  })
})
