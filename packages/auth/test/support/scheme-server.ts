import type { IncomingMessage, ServerResponse } from 'node:http'
import { ConfigError, type ConfigFault, exchangeOf, type OutgoingEdits } from '@postern/contracts'
import { request, type Served, serve, type Unhandled, unhandled } from '@postern/test-kit'
import { afterEach, beforeEach, expect } from 'vitest'
import type { Scheme, Verdict } from '../../src/scheme.ts'

/** What a scheme said about a request. */
export interface Told {
  readonly outcome: Verdict['outcome'] | 'nothing'
  /** It was known without any work. */
  readonly remembered: boolean
  readonly subject?: string
  readonly scopes?: readonly string[]
  readonly roles?: readonly string[]
  readonly claims?: Readonly<Record<string, unknown>>
  readonly user?: unknown
  readonly reason?: string
  readonly error?: string
  readonly isGuess?: boolean
}

export interface AskedScheme {
  /** Sends a request and tells what the scheme made of it. Headers are names and values in turn, so that they can repeat. */
  ask(headers?: readonly string[], path?: string): Promise<Told>
  /** The edits that the last request left for the proxy, after `strip()`. */
  readonly outgoing: OutgoingEdits | undefined
}

const open: (Served | Scheme)[] = []
let watch: Unhandled

beforeEach(() => {
  watch = unhandled()
})

afterEach(async () => {
  for (const part of open.splice(0)) await part.close?.()
  expect(await watch.stop()).toEqual([])
})

/** A server that asks a scheme about each request, the way `authenticate()` does. */
export async function askedOf(scheme: Scheme): Promise<AskedScheme> {
  let outgoing: OutgoingEdits | undefined
  const served = await serve(async (req: IncomingMessage, res: ServerResponse) => {
    const exchange = exchangeOf(req, res)
    const told = await tell(scheme, req, res)
    scheme.strip(req, exchange)
    outgoing = exchange.outgoing
    res.end(JSON.stringify(told))
  })
  open.push(scheme, served)
  return {
    async ask(headers = [], path = '/') {
      const all = ['host', 'api.test', ...headers]
      const reply = await request(served.url, { headers: all, path })
      expect(reply.status).toBe(200)
      return reply.json() as Told
    },
    get outgoing() {
      return outgoing
    },
  }
}

async function tell(scheme: Scheme, req: IncomingMessage, res: ServerResponse): Promise<Told> {
  const found = scheme.find(req, exchangeOf(req, res))
  if (found === undefined) return { outcome: 'nothing', remembered: false }
  if (typeof found !== 'string') return { ...found, remembered: false }
  const known = scheme.recall(found, req)
  const verdict = await (known ?? scheme.verify(found, req))
  const remembered = known !== undefined
  if (verdict === undefined) return { outcome: 'nothing', remembered }
  if (verdict.outcome === 'verified') {
    const { subject, scopes, roles, claims } = verdict.identity
    return { outcome: 'verified', remembered, subject, scopes, roles, claims, user: verdict.user }
  }
  const { outcome, reason } = verdict
  if (outcome === 'unavailable') return { outcome, remembered, reason }
  return { outcome, remembered, reason, error: verdict.error, isGuess: verdict.isGuess }
}

/** What a configuration is refused for; empty when it is not. */
export function refusalOf(make: () => unknown): { faults: readonly ConfigFault[]; message: string } {
  try {
    make()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return { faults: (error as ConfigError).faults, message: (error as ConfigError).message }
  }
  return { faults: [], message: '' }
}
