import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CompiledSplit, drawBranch, hashText, stickyBranch } from '../src/actions/split.ts'
import { type Branch, router, type SplitKey } from '../src/index.ts'
import { ask, hear, say, serve } from './support.ts'

function split(weights: Record<string, number>): CompiledSplit {
  const branches = Object.entries(weights).map(([id, weight]) => ({
    id,
    routeId: id,
    weight,
    seed: hashText(id),
    edits: undefined,
    action: { kind: 'handlers', handlers: [], needsHost: false } as const,
  }))
  return { by: undefined, branches, totalWeight: branches.reduce((sum, { weight }) => sum + weight, 0) }
}

const branch = (id: string, weight: number): Branch => ({ id, weight, handlers: say(id) })
const KEYS = Array.from({ length: 20_000 }, (_, i) => `user-${i}`)

describe('a draw', () => {
  it('gives every branch its share of the whole', () => {
    const drawn = split({ a: 1, none: 0, b: 3 })
    expect(drawBranch(drawn, 0).id).toBe('a')
    expect(drawBranch(drawn, 0.2499).id).toBe('a')
    expect(drawBranch(drawn, 0.25).id).toBe('b')
    expect(drawBranch(drawn, 0.9999).id).toBe('b')
  })

  it('never gives a branch without weight', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (fraction) => {
        expect(drawBranch(split({ x: 0, a: 0.1, y: 0, b: 0.2, z: 0 }), fraction).id).toMatch(/^[ab]$/)
      }),
    )
  })
})

describe('a key', () => {
  it('gets its branch by weight', () => {
    const counted: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 }
    const sticky = split({ a: 1, b: 2, c: 5, d: 0 })
    for (const key of KEYS) counted[stickyBranch(sticky, key).id]! += 1
    expect(counted.a! / KEYS.length).toBeCloseTo(1 / 8, 1.5)
    expect(counted.b! / KEYS.length).toBeCloseTo(2 / 8, 1.5)
    expect(counted.c! / KEYS.length).toBeCloseTo(5 / 8, 1.5)
    expect(counted.d).toBe(0)
  })

  it('keeps its branch when weights change, but for those that must move to the branch that grew', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.string(),
        (a, b, more, key) => {
          const before = stickyBranch(split({ a, b, c: 3 }), key).id
          const after = stickyBranch(split({ a, b: b + more, c: 3 }), key).id
          if (after !== before) expect(after).toBe('b')
        },
      ),
      { numRuns: 2_000 },
    )
    const moved = KEYS.filter(
      (key) => stickyBranch(split({ a: 90, b: 10 }), key).id !== stickyBranch(split({ a: 80, b: 20 }), key).id,
    )
    expect(moved.length / KEYS.length).toBeGreaterThan(0.08)
    expect(moved.length / KEYS.length).toBeLessThan(0.12)
  })
})

describe('split', () => {
  it('draws a branch for each request and names it on the exchange', async () => {
    const draws = [0.1, 0.9, 0.5]
    const routes = [{ path: '/x', id: 'shop', split: [branch('old', 1), branch('new', 1)] }]
    const port = await serve(router(routes, { random: () => draws.shift()! }))
    const ids = [await hear(port, '/x'), await hear(port, '/x'), await hear(port, '/x')].map((said) => said.route?.id)
    expect(ids).toEqual(['shop/old', 'shop/new', 'shop/new'])
  })

  it('sticks by client, header, cookie, parameter or function, and draws without the key', async () => {
    const ways: [SplitKey, string, Record<string, string>][] = [
      ['client', '/x/1', {}],
      [{ header: 'X-User' }, '/x/1', { 'x-user': 'u' }],
      [{ cookie: 'sid' }, '/x/1', { cookie: 'sid=u' }],
      [{ param: 'id' }, '/x/u', {}],
      [(req) => req.headers['x-own'] as string, '/x/1', { 'x-own': 'u' }],
    ]
    for (const [by, path, headers] of ways) {
      let draws = 0
      const random = () => {
        draws++
        return 0
      }
      const routes = [{ path: '/x/:id', split: { by, branches: [branch('a', 1), branch('b', 1)] } }]
      const handler = router(routes, { random })
      const port = await serve(handler)
      const first = (await hear(port, path, { headers })).route?.id
      for (let i = 0; i < 5; i++) expect((await hear(port, path, { headers })).route?.id).toBe(first)
      expect(draws).toBe(0)
      if (by === 'client' || (typeof by === 'object' && 'param' in by)) continue
      await hear(port, '/x/1')
      expect(draws).toBe(1)
      const explained = handler.explain({ url: path, headers }).winner
      expect(`${explained?.id}/${explained?.branch}`).toBe(first)
    }
  })

  it('lets branches redirect, answer, and edit behind the route', async () => {
    const draws = [0.1, 0.5, 0.9]
    const routes = [
      {
        prefix: '/x',
        requestHeaders: { set: { 'x-r': '1' } },
        split: [
          { id: 'go', weight: 1, redirect: { prefix: '/y' } },
          { id: 'say', weight: 1, respond: { status: 503, body: 'later' } },
          { ...branch('new', 1), rewrite: { stripPrefix: true as const }, requestHeaders: { set: { 'x-b': '2' } } },
        ],
      },
    ]
    const port = await serve(router(routes, { random: () => draws.shift()! }))
    expect((await ask(port, '/x/1')).headers.location).toBe('/y/1')
    expect(await ask(port, '/x/1')).toMatchObject({ status: 503, body: 'later' })
    const said = await hear(port, '/x/1')
    expect(said).toMatchObject({ path: '/1', route: { id: '/x/*/new' } })
    expect(said.requestHeaders).toEqual([
      { op: 'set', name: 'x-r', value: '1' },
      { op: 'set', name: 'x-b', value: '2' },
    ])
  })
})
