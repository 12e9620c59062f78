import { attemptSettled } from '@postern/proxy'
import { eventually, request } from '@postern/test-kit'
import { describe, expect, test } from 'vitest'
import { ask, Client, gate, gateway, origin, settled, told } from './support.ts'

/** An upstream that sends a head and a beginning, and the rest when it is let. */
async function twoPartUpstream(headers: Record<string, string | number> = {}) {
  const head = gate()
  const rest = gate()
  const upstream = await origin(async (_req, res) => {
    await head.opened
    res.writeHead(200, { 'cache-control': 'max-age=60', ...headers })
    res.write('first ')
    await rest.opened
    res.end('last')
  })
  return { upstream, head, rest }
}

const WHOLE = { status: 200, text: 'first last', whole: true }

describe('the client whose request was sent leaves', () => {
  test.each([{}, { 'content-length': 10 }])(
    'before the head: those who wait get the whole answer of the same upstream request (%o)',
    async (headers) => {
      const { upstream, head, rest } = await twoPartUpstream(headers)
      const { url, cache, served } = await gateway({ target: upstream })
      const first = new Client(`${url}/a`)
      await eventually(() => upstream.requests.length === 1)
      const others = [new Client(`${url}/a`), new Client(`${url}/a`)]
      await eventually(() => cache.stats.collapsed === 2)
      first.leave()
      await eventually(() => served.sockets === 2)
      head.open()
      rest.open()
      for (const client of others) expect(await client.answer()).toEqual(WHOLE)
      expect(upstream.requests).toHaveLength(1)
    },
  )

  test('in mid-body: those who read get the rest, and it is stored', async () => {
    const { upstream, head, rest } = await twoPartUpstream()
    head.open()
    const { url, served } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    const second = new Client(`${url}/a`)
    await eventually(() => second.text === 'first ')
    first.leave()
    await eventually(() => served.sockets === 1)
    const third = new Client(`${url}/a`)
    await eventually(() => third.text === 'first ')
    rest.open()
    expect(await second.answer()).toEqual(WHOLE)
    expect(await third.answer()).toEqual(WHOLE)
    expect((await request(`${url}/a`)).headers['cache-status']).toContain('hit')
    expect(upstream.requests).toHaveLength(1)
  })

  test.each([{}, { 'content-length': 10 }])(
    'while others wait: the attempt counts as answered, not as given up (%o)',
    async (headers) => {
      const attempts = told(attemptSettled)
      const { upstream, head, rest } = await twoPartUpstream(headers)
      head.open()
      const { url, served } = await gateway({ target: upstream })
      const first = new Client(`${url}/a`)
      await eventually(() => first.text === 'first ')
      const second = new Client(`${url}/a`)
      await eventually(() => second.text === 'first ')
      first.leave()
      await eventually(() => served.sockets === 1)
      rest.open()
      expect(await second.answer()).toEqual(WHOLE)
      await eventually(() => attempts.length === 1)
      expect(attempts[0]!.attempt).toMatchObject({ status: 200, failure: undefined })
    },
  )

  test('while others wait: the upstream connection is used again', async () => {
    const { upstream, head, rest } = await twoPartUpstream()
    head.open()
    const { url, served } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    const second = new Client(`${url}/a`)
    await eventually(() => second.text === 'first ')
    first.leave()
    await eventually(() => served.sockets === 1)
    rest.open()
    await second.answer()
    await settled()
    await request(`${url}/b`)
    expect(upstream.connections).toBe(1)
  })

  test('and nobody waits: the upstream request is cancelled, and the next client asks anew', async () => {
    const { upstream, head, rest } = await twoPartUpstream()
    const { url } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => upstream.requests.length === 1)
    first.leave()
    await eventually(() => upstream.last.aborted)
    head.open()
    rest.open()
    expect((await request(`${url}/a`)).text).toBe('first last')
    expect(upstream.requests).toHaveLength(2)
  })

  test('in mid-body and nobody waits: cancelled, and nothing of it is stored', async () => {
    const { upstream, head, rest } = await twoPartUpstream()
    head.open()
    const { url, cache } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => first.text === 'first ')
    first.leave()
    await eventually(() => upstream.last.aborted)
    rest.open()
    expect(cache.stats).toMatchObject({ stored: 0, responses: 0 })
    expect((await request(`${url}/a`)).text).toBe('first last')
  })
})

describe('others leave', () => {
  test('one who waits does not disturb the rest', async () => {
    const { upstream, head, rest } = await twoPartUpstream()
    const { url, cache, served } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => upstream.requests.length === 1)
    const [second, third] = [new Client(`${url}/a`), new Client(`${url}/a`)]
    await eventually(() => cache.stats.collapsed === 2)
    second.leave()
    await eventually(() => served.sockets === 2)
    head.open()
    await eventually(() => third.text === 'first ')
    const fourth = new Client(`${url}/a`)
    await eventually(() => fourth.text === 'first ')
    fourth.leave()
    await eventually(() => served.sockets === 2)
    rest.open()
    expect(await first.answer()).toEqual(WHOLE)
    expect(await third.answer()).toEqual(WHOLE)
    expect(upstream.requests).toHaveLength(1)
  })

  test.each(['before the head', 'in mid-body'])('all of them, %s: the upstream request is cancelled', async (when) => {
    const { upstream, head } = await twoPartUpstream()
    if (when === 'in mid-body') head.open()
    const { url, cache } = await gateway({ target: upstream })
    const first = new Client(`${url}/a`)
    await eventually(() => upstream.requests.length === 1 && (when !== 'in mid-body' || first.text !== ''))
    const second = new Client(`${url}/a`)
    await eventually(() => cache.stats.collapsed === 1)
    first.leave()
    await settled()
    expect(upstream.last.aborted).toBe(false)
    second.leave()
    await eventually(() => upstream.last.aborted)
    expect(cache.stats.responses).toBe(0)
  })

  test('and come back: the next crowd is served as ever', async () => {
    const { upstream, head, rest } = await twoPartUpstream()
    const { url, cache } = await gateway({ target: upstream })
    for (let round = 1; round <= 3; round++) {
      const clients = Array.from({ length: 4 }, () => new Client(`${url}/a`))
      await eventually(() => cache.stats.collapsed === 3 * round)
      for (const client of clients) client.leave()
      await eventually(() => upstream.last.aborted)
    }
    head.open()
    rest.open()
    const replies = await Promise.all(Array.from({ length: 4 }, () => request(`${url}/a`)))
    expect(replies.map((reply) => reply.text)).toEqual(Array(4).fill('first last'))
  })
})

describe('a client that has the answer already', () => {
  test('gets 304 at once, and who joins it the whole body', async () => {
    const { upstream, head, rest } = await twoPartUpstream({ etag: '"v1"' })
    const { url, cache } = await gateway({ target: upstream })
    const first = ask(`${url}/a`, { headers: { 'if-none-match': '"v1"' } })
    await eventually(() => upstream.requests.length === 1)
    const second = new Client(`${url}/a`)
    await eventually(() => cache.stats.collapsed === 1)
    head.open()
    expect((await first).status).toBe(304)
    await eventually(() => second.text === 'first ')
    rest.open()
    expect(await second.answer()).toEqual(WHOLE)
    expect(upstream.requests).toHaveLength(1)
  })

  test('has it stored for others, although it wants no body itself', async () => {
    const { upstream, head, rest } = await twoPartUpstream({ etag: '"v1"' })
    head.open()
    const { url, served } = await gateway({ target: upstream })
    expect((await request(`${url}/a`, { headers: { 'if-none-match': '"v1"' } })).status).toBe(304)
    await eventually(() => served.sockets === 0)
    await settled()
    expect(upstream.last.aborted).toBe(false)
    rest.open()
    await eventually(async () => (await request(`${url}/a`)).headers['cache-status']!.includes('hit'))
    expect(upstream.requests).toHaveLength(1)
  })
})
