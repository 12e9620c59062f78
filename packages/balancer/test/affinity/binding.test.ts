import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { type Attempt, type Exchange, exchangeOf, isRefusal, type Selection, type Target } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { type AffinityOptions, type BalancerHandler, type BalancerOptions, balancer } from '../../src/index.ts'
import { STRATEGY_NAMES } from '../../src/strategies/built-in.ts'
import { OK, seeded } from '../support.ts'

const SECRET = 'a-secret-of-thirty-two-characters'
const OTHER = 'another-secret-of-thirty-two-chars'
const COOKIE: AffinityOptions = { by: 'cookie', secrets: [SECRET] }
const HEADER: AffinityOptions = { by: 'header', name: 'X-Session-Target', secrets: [SECRET] }
const TARGETS = ['a', 'b', 'c', 'd'].map((id, i) => ({ url: `http://10.0.0.${i}:3000`, id }))

function balancerWith(affinity: AffinityOptions, options: Partial<BalancerOptions> = {}): BalancerHandler {
  return balancer({ targets: TARGETS, random: seeded(5), affinity, ...options })
}

interface Visit {
  readonly exchange: Exchange
  readonly selection: Selection
}

/** A request as it stands behind the balancer. */
function visit(handler: BalancerHandler, headers: Record<string, string> = {}, encrypted = false): Visit {
  const request = new IncomingMessage(Object.assign(new Socket(), { encrypted }) as Socket)
  Object.assign(request.headers, headers)
  const exchange = exchangeOf(request, new ServerResponse(request))
  handler(request, exchange.response, () => {})
  return { exchange, selection: exchange.selection! }
}

/** Leases for one attempt; the target's id, or why there is none. */
function acquire({ selection }: Visit, accept?: (target: Target) => boolean): string {
  const result = selection.acquire(accept)
  if (isRefusal(result)) return result.reason
  result.settle(OK)
  return result.target.id
}

/** What the answer's head would say: values of all edits of a header. */
function told({ exchange }: Visit, name = 'set-cookie'): string[] {
  return (exchange.outgoing.responseHeaders ?? []).filter((edit) => edit.name === name).map((edit) => edit.value ?? '')
}

/** The token that a visitor who came without one is given, and its target. */
function firstVisit(handler: BalancerHandler, accept?: (target: Target) => boolean): { id: string; cookie: string } {
  const first = visit(handler)
  const id = acquire(first, accept)
  return { id, cookie: told(first)[0]!.split(';')[0]! }
}

describe('affinity by cookie', () => {
  it.each(STRATEGY_NAMES)('keeps a client at its target, whatever %s would choose', (strategy) => {
    const handler = balancerWith(COOKIE, { strategy })
    const { id, cookie } = firstVisit(handler, (target) => target.id === 'c')
    expect(id).toBe('c')
    for (let i = 0; i < 30; i++) {
      const again = visit(handler, { cookie: `x=1; ${cookie}` })
      expect(acquire(again)).toBe('c')
      expect(told(again)).toEqual([])
    }
  })

  it('spreads clients that come without one as the strategy does', () => {
    const handler = balancerWith(COOKIE, { strategy: 'round-robin' })
    expect(Array.from({ length: 4 }, () => firstVisit(handler).id).join('')).toBe('abcd')
  })

  it('sets a host-only, HttpOnly session cookie with SameSite=Lax that shows nothing internal', () => {
    const first = visit(balancerWith(COOKIE))
    acquire(first)
    expect(told(first)).toEqual([
      expect.stringMatching(/^postern-affinity=[\w-]{16}\.[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/),
    ])
  })

  it('sets Secure where the client speaks HTTPS', () => {
    const first = visit(balancerWith(COOKIE), {}, true)
    acquire(first)
    expect(told(first)[0]).toMatch(/; SameSite=Lax; Secure$/)
  })

  it('writes the attributes that it was given', () => {
    const options: AffinityOptions = {
      by: 'cookie',
      secrets: [SECRET],
      name: 'sticky',
      maxAgeMs: 90_500,
      sameSite: 'none',
      path: '/shop',
      secure: true,
    }
    const first = visit(balancerWith(options))
    acquire(first)
    expect(told(first)[0]).toMatch(/^sticky=[^;]+; Max-Age=90; Path=\/shop; HttpOnly; SameSite=None; Secure$/)
  })

  it.each(['', 'x', 'a', `${'A'.repeat(16)}.${'A'.repeat(22)}`, 'x'.repeat(15_000), '__proto__'])(
    'treats a cookie that is none of its own as no cookie, and sets one',
    (value) => {
      const one = visit(balancerWith(COOKIE), { cookie: `postern-affinity=${value}` })
      expect(['a', 'b', 'c', 'd']).toContain(acquire(one))
      expect(told(one)).toHaveLength(1)
    },
  )

  it('does not take a cookie that another secret has signed', () => {
    const { cookie } = firstVisit(balancerWith({ ...COOKIE, secrets: [OTHER] }))
    const one = visit(balancerWith(COOKIE), { cookie })
    acquire(one)
    expect(told(one)).toHaveLength(1)
  })

  it('takes the cookies of an old secret, and renews them with the first', () => {
    const { id, cookie } = firstVisit(balancerWith(COOKIE))
    const handler = balancerWith({ ...COOKIE, secrets: [OTHER, SECRET] })
    const again = visit(handler, { cookie })
    expect(acquire(again)).toBe(id)
    const renewed = told(again)[0]!.split(';')[0]!
    expect(renewed).not.toBe(cookie)
    const later = visit(balancerWith({ ...COOKIE, secrets: [OTHER] }), { cookie: renewed })
    expect([acquire(later), told(later)]).toEqual([id, []])
  })

  it('is understood by another process with the same secret', () => {
    const { id, cookie } = firstVisit(balancerWith(COOKIE))
    for (let i = 0; i < 10; i++) expect(acquire(visit(balancerWith(COOKIE), { cookie }))).toBe(id)
  })

  it('keeps the token from the upstream, and leaves the other cookies', () => {
    const handler = balancerWith(COOKIE)
    const { cookie } = firstVisit(handler)
    const edits = (headers: Record<string, string>) => visit(handler, headers).exchange.outgoing.requestHeaders
    expect(edits({ cookie: `a=1; ${cookie}; b=2` })).toEqual([{ op: 'set', name: 'cookie', value: 'a=1; b=2' }])
    expect(edits({ cookie })).toEqual([{ op: 'remove', name: 'cookie', value: '' }])
    expect(edits({ cookie: 'a=1' })).toBeUndefined()
    expect(edits({})).toBeUndefined()
  })

  it('edits the cookies of the request before what earlier stages want done with them', () => {
    const handler = balancerWith(COOKIE)
    const { cookie } = firstVisit(handler)
    const { exchange } = visit(handler, { cookie })
    exchange.outgoing.editRequestHeader({ op: 'append', name: 'cookie', value: 'own=1' })
    handler(exchange.request, exchange.response, () => {})
    expect(exchange.outgoing.requestHeaders?.map(({ op }) => op)).toEqual(['remove', 'remove', 'append'])
  })

  it('counts the requests of bound clients as in flight', () => {
    const handler = balancerWith(COOKIE)
    const { id, cookie } = firstVisit(handler)
    visit(handler, { cookie }).selection.acquire()
    expect(handler.targets.find((target) => target.id === id)).toMatchObject({ inFlight: 1, requests: 2 })
  })
})

describe('affinity when an attempt goes elsewhere', () => {
  it('chooses another target for a retry, and binds the client to that', () => {
    const handler = balancerWith(COOKIE)
    const { id, cookie } = firstVisit(handler)
    const again = visit(handler, { cookie })
    expect(acquire(again)).toBe(id)
    const other = acquire(again, (target) => target.id !== id)
    expect(other).not.toBe(id)
    const [line] = told(again)
    expect(acquire(visit(handler, { cookie: line!.split(';')[0]! }))).toBe(other)
  })

  it('sets one cookie only, of the target that was chosen last', () => {
    const handler = balancerWith(COOKIE)
    const first = visit(handler)
    const tried: string[] = []
    for (let i = 0; i < 3; i++) tried.push(acquire(first, (target) => !tried.includes(target.id)))
    const lines = told(first)
    expect(lines).toHaveLength(1)
    expect(acquire(visit(handler, { cookie: lines[0]!.split(';')[0]! }))).toBe(tried[2])
  })

  it.each([
    ['the other has not answered', { status: undefined, totalMs: undefined }],
    ['the other was given up', { status: undefined, totalMs: 9 }],
    ['the other has answered first, with what was not used', { status: 503, totalMs: 5 }],
  ])('binds to the target whose answer goes to the client when two attempts race and %s', (_, other) => {
    const handler = balancerWith(COOKIE)
    const first = visit(handler)
    const targets = [first.selection.acquire(), first.selection.acquire((target) => target.id === 'd')].map((lease) => {
      if (isRefusal(lease)) throw new Error('refused')
      return lease.target
    })
    const [winner, loser] = targets as [Target, Target]
    expect(winner.id).not.toBe('d')
    const attempts = [
      { target: loser, ...other },
      { target: winner, status: 200, totalMs: undefined },
    ]
    first.exchange.attempts.push(...(attempts as Attempt[]))
    expect(acquire(visit(handler, { cookie: told(first)[0]!.split(';')[0]! }))).toBe(winner.id)
  })

  it('does not take the answer of a target that was not its own choice for one of its own', () => {
    const handler = balancerWith(COOKIE)
    const first = visit(handler)
    const id = acquire(first)
    const stranger = balancer({ targets: ['http://10.9.9.9:1'] }).targets[0]!.target
    first.exchange.attempts.push({ target: stranger, status: 200 } as Attempt)
    expect(acquire(visit(handler, { cookie: told(first)[0]!.split(';')[0]! }))).toBe(id)
  })
})

describe("affinity when the client's target is gone", () => {
  const gone: [string, (handler: BalancerHandler, id: string) => void][] = [
    ['drains', (handler, id) => void handler.drain(id)],
    ['has weight 0', (handler, id) => handler.setWeight(id, 0)],
    ['has left', (handler, id) => handler.replace(TARGETS.filter((target) => target.id !== id))],
  ]

  it.each(gone)('chooses another and binds the client to that when the target %s', (_, takeAway) => {
    const handler = balancerWith(COOKIE)
    const { id, cookie } = firstVisit(handler)
    takeAway(handler, id)
    const again = visit(handler, { cookie })
    const other = acquire(again)
    expect(['a', 'b', 'c', 'd']).toContain(other)
    expect(other).not.toBe(id)
    expect(acquire(visit(handler, { cookie: told(again)[0]!.split(';')[0]! }))).toBe(other)
  })

  it.each(gone)('refuses with target_gone when told to and the target %s', (_, takeAway) => {
    const handler = balancerWith({ ...COOKIE, whenGone: 'refuse' })
    const { id, cookie } = firstVisit(handler)
    takeAway(handler, id)
    const again = visit(handler, { cookie })
    expect(acquire(again)).toBe('target_gone')
    expect(told(again)).toEqual([])
  })

  it('refuses a retry elsewhere when told to, and says that there is one target only', () => {
    const handler = balancerWith({ ...COOKIE, whenGone: 'refuse' })
    const { id, cookie } = firstVisit(handler)
    const again = visit(handler, { cookie })
    expect(again.selection.size).toBe(1)
    expect(acquire(again)).toBe(id)
    expect(acquire(again, (target) => target.id !== id)).toBe('target_gone')
    expect(acquire(again)).toBe(id)
  })

  it('refuses nobody who was bound to nothing yet', () => {
    const handler = balancerWith({ ...COOKIE, whenGone: 'refuse' })
    for (const headers of [
      {},
      { cookie: 'postern-affinity=made-up' },
      { cookie: `postern-affinity=${'x'.repeat(39)}` },
    ]) {
      const one = visit(handler, headers as Record<string, string>)
      expect(one.selection.size).toBe(4)
      const id = acquire(one)
      expect(acquire(one, (target) => target.id !== id)).not.toBe('target_gone')
    }
  })

  it('serves the client again when its target is back', () => {
    const handler = balancerWith({ ...COOKIE, whenGone: 'refuse' })
    const { id, cookie } = firstVisit(handler)
    void handler.drain(id)
    const refused = visit(handler, { cookie })
    expect(acquire(refused)).toBe('target_gone')
    expect(refused.exchange.response.getHeader('set-cookie')).toBeUndefined()
    handler.undrain(id)
    expect(acquire(visit(handler, { cookie }))).toBe(id)
  })

  it('takes the cookie of a target that has left back with the refusal, so that the client can begin anew', () => {
    const handler = balancerWith({ ...COOKIE, whenGone: 'refuse', path: '/shop' })
    const { id, cookie } = firstVisit(handler)
    handler.replace(TARGETS.filter((target) => target.id !== id))
    const refused = visit(handler, { cookie })
    for (let i = 0; i < 3; i++) expect(acquire(refused)).toBe('target_gone')
    expect(refused.exchange.response.getHeader('set-cookie')).toBe(
      'postern-affinity=; Max-Age=0; Path=/shop; HttpOnly; SameSite=Lax',
    )
  })

  it('says what is wrong with the pool, and not with the client, when nothing is left at all', () => {
    const handler = balancerWith({ ...COOKIE, whenGone: 'refuse' })
    const { cookie } = firstVisit(handler)
    handler.replace([])
    expect(acquire(visit(handler, { cookie }))).toBe('no_targets')
  })

  it('knows targets that came later, and one that came back under its id', () => {
    const handler = balancerWith(COOKIE)
    const { id, cookie } = firstVisit(handler)
    handler.replace([{ url: 'http://10.0.0.9:3000', id: 'new' }])
    const { id: later, cookie: laterCookie } = firstVisit(handler)
    expect(later).toBe('new')
    handler.replace([...TARGETS, { url: 'http://10.0.0.9:3000', id: 'new' }])
    for (let i = 0; i < 10; i++) {
      expect(acquire(visit(handler, { cookie }))).toBe(id)
      expect(acquire(visit(handler, { cookie: laterCookie }))).toBe('new')
    }
  })
})

describe('affinity and priority tiers', () => {
  it('keeps a client of a backup there when the first tier is back', () => {
    const targets = [TARGETS[0]!, { ...TARGETS[1]!, tier: 1 }]
    const handler = balancerWith(COOKIE, { targets })
    void handler.drain('a')
    const { id, cookie } = firstVisit(handler)
    expect(id).toBe('b')
    handler.undrain('a')
    expect(acquire(visit(handler, { cookie }))).toBe('b')
    expect(acquire(visit(handler))).toBe('a')
  })
})

describe('affinity by header', () => {
  it('tells the token in the answer, and keeps the client that sends it back at its target', () => {
    const handler = balancerWith(HEADER)
    const first = visit(handler)
    const id = acquire(first)
    const [token] = told(first, 'x-session-target')
    expect(token).toMatch(/^[\w-]{16}\.[\w-]{22}$/)
    for (let i = 0; i < 10; i++) {
      const again = visit(handler, { 'x-session-target': token! })
      expect([acquire(again), told(again, 'x-session-target')]).toEqual([id, []])
    }
  })

  it('lets the header through to no upstream, however it is spelt', () => {
    const { exchange } = visit(balancerWith(HEADER), { 'x-session-target': 'anything' })
    expect(exchange.outgoing.reserved).toEqual(new Set(['x-session-target']))
  })

  it('sets no cookie with a refusal', () => {
    const handler = balancerWith({ ...HEADER, whenGone: 'refuse' })
    const first = visit(handler)
    const id = acquire(first)
    const [token] = told(first, 'x-session-target')
    handler.replace(TARGETS.filter((target) => target.id !== id))
    const refused = visit(handler, { 'x-session-target': token! })
    expect(acquire(refused)).toBe('target_gone')
    expect(refused.exchange.response.getHeaderNames()).toEqual([])
  })
})
