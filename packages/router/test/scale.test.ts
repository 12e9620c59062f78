import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Exchange } from '@postern/contracts'
import { describe, expect, it, vi } from 'vitest'
import type { Route } from '../src/index.ts'
import { resolveOptions } from '../src/options.ts'
import { PathView } from '../src/pattern/path-view.ts'
import { RequestFacts, readFacts } from '../src/request-facts.ts'
import { Leaf } from '../src/table/leaf.ts'
import { Trie } from '../src/table/trie.ts'

const handlers = () => {}

function tableOf(count: number, make: (i: number) => Omit<Route, 'handlers'>) {
  return resolveOptions(Array.from({ length: count }, (_, i) => ({ handlers, ...make(i) })))
}

/** Segments, leaves and hosts that one lookup looks at: what it costs, whatever else the machine does. */
function looks({ table, options }: ReturnType<typeof tableOf>, url: string, host: string): number {
  const req = new IncomingMessage(new Socket())
  req.method = 'GET'
  req.url = url
  req.headers.host = host
  const facts = readFacts(req, new Exchange(req, new ServerResponse(req)), options, table.needsHost)
  if (!(facts instanceof RequestFacts)) throw new Error(facts.reason)
  const spies = [
    vi.spyOn(PathView.prototype, 'key'),
    vi.spyOn(Leaf.prototype, 'choose'),
    vi.spyOn(Trie.prototype, 'find'),
    vi.spyOn(Map.prototype, 'get'),
  ]
  try {
    expect(table.find(facts)).toBeDefined()
    return spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0)
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

describe('10,000 routes', () => {
  const shapes: [string, (i: number) => Omit<Route, 'handlers'>, string, string][] = [
    ['paths', (i) => ({ path: `/service-${i}/:id` }), '/service-7/x', 'a.test'],
    ['prefixes', (i) => ({ prefix: `/service-${i}` }), '/service-7/x/y', 'a.test'],
    ['hosts', (i) => ({ host: `h${i}.test`, path: '/x/:id' }), '/x/1', 'h7.test'],
    ['wildcard hosts', (i) => ({ host: `*.h${i}.test`, path: '/x/:id' }), '/x/1', 'a.h7.test'],
    ['wildcards by their last segment', (i) => ({ path: `/*rest/end-${i}` }), '/a/b/end-7', 'a.test'],
    ['parameters in front', (i) => ({ path: `/:tenant/service-${i}/:id` }), '/t/service-7/x', 'a.test'],
  ]
  for (const [name, make, url, host] of shapes) {
    it(`cost what ten do: ${name}`, () => {
      const few = tableOf(10, make)
      const many = tableOf(10_000, make)
      expect(looks(many, url, host)).toBe(looks(few, url, host))
    })
  }
})
