import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Exchange } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import type { Route } from '../src/index.ts'
import { resolveOptions } from '../src/options.ts'
import { RequestFacts, readFacts } from '../src/request-facts.ts'

const handlers = () => {}

function tableOf(count: number, make: (i: number) => Omit<Route, 'handlers'>) {
  return resolveOptions(Array.from({ length: count }, (_, i) => ({ handlers, ...make(i) })))
}

/** Nanoseconds of one lookup: the best of several runs, so that other work on the machine does not count. */
function cost({ table, options }: ReturnType<typeof tableOf>, url: string, host: string): number {
  const req = new IncomingMessage(new Socket())
  req.method = 'GET'
  req.url = url
  req.headers.host = host
  const facts = readFacts(req, new Exchange(req, new ServerResponse(req)), options, table.needsHost)
  if (!(facts instanceof RequestFacts)) throw new Error(facts.reason)
  let best = Number.POSITIVE_INFINITY
  let found = 0
  for (let run = 0; run < 30; run++) {
    const before = performance.now()
    for (let i = 0; i < 1_000; i++) if (table.find(facts) !== undefined) found++
    best = Math.min(best, performance.now() - before)
  }
  expect(found).toBe(30_000)
  return best * 1_000
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
      // A scan would cost a thousand times as much; maps of other sizes and colder caches may cost a little more.
      expect(cost(many, url, host) / cost(few, url, host)).toBeLessThan(4)
    })
  }

  it('compile in a few seconds', () => {
    const before = performance.now()
    tableOf(10_000, (i) => ({ path: `/a/b-${i}/:c{/:d}`, method: ['GET', 'PUT'], host: 'a.test', headers: { x: '1' } }))
    expect(performance.now() - before).toBeLessThan(5_000)
  })
})
