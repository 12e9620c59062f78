import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { exchangeOf, isRefusal } from '@postern/contracts'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { balancer } from '../../src/index.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Stands in for the proxy: answers with the target's name, under a cookie of its own and with the edits of the stages before. */
function answerWithTarget(req: IncomingMessage, res: ServerResponse): void {
  const exchange = exchangeOf(req, res)
  const lease = exchange.selection!.acquire()
  if (isRefusal(lease)) {
    res.statusCode = 503
    res.end(lease.reason)
    return
  }
  res.appendHeader('set-cookie', 'session=of-the-app')
  for (const { name, value } of exchange.outgoing.responseHeaders ?? []) res.appendHeader(name, value ?? '')
  res.once('close', () => lease.settle({ status: 200, headersMs: 1, totalMs: 2 }))
  res.end(lease.target.id)
}

function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ body: string; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (res) => {
      let body = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => {
        body += chunk
      })
      res.on('end', () => resolve({ body, headers: res.headers }))
    })
      .on('error', reject)
      .end()
  })
}

const targets = ['a', 'b', 'c'].map((id, i) => ({ url: `http://127.0.0.1:${3001 + i}`, id }))
const secrets = ['a-secret-of-thirty-two-characters']

describe('affinity in an Express app', () => {
  it('keeps a browser at its target: the cookie comes beside those of the app, and once', async () => {
    const app = express()
    app.use(balancer({ targets, strategy: 'round-robin', affinity: { by: 'cookie', secrets } }), answerWithTarget)
    const url = await listen(app)
    const first = await get(url)
    expect(first.headers['set-cookie']).toEqual(['session=of-the-app', expect.stringMatching(/^postern-affinity=/)])
    const cookie = first.headers['set-cookie']!.map((line) => line.split(';')[0]).join('; ')
    for (let i = 0; i < 5; i++) {
      const again = await get(url, { cookie })
      expect([again.body, again.headers['set-cookie']]).toEqual([first.body, ['session=of-the-app']])
    }
  })

  it('sets Secure when a trusted proxy says that the client speaks HTTPS, and not when a stranger says so', async () => {
    for (const trusted of [true, false]) {
      const app = express()
      app.set('trust proxy', trusted)
      app.use(balancer({ targets, affinity: { by: 'cookie', secrets } }), answerWithTarget)
      const { headers } = await get(await listen(app), { 'x-forwarded-proto': 'https' })
      expect(headers['set-cookie']![1]!.endsWith('; Secure')).toBe(trusted)
    }
  })

  it('answers a client whose target has left with a refusal that takes the cookie back, and then begins anew', async () => {
    const app = express()
    const pool = balancer({ targets, affinity: { by: 'cookie', secrets, whenGone: 'refuse' } })
    app.use(pool, answerWithTarget)
    const url = await listen(app)
    const first = await get(url)
    const cookie = first.headers['set-cookie']![1]!.split(';')[0]!
    pool.replace(targets.filter(({ id }) => id !== first.body))
    const refused = await get(url, { cookie })
    expect(refused.body).toBe('target_gone')
    expect(refused.headers['set-cookie']).toEqual([expect.stringMatching(/^postern-affinity=; Max-Age=0; /)])
    expect(['a', 'b', 'c']).toContain((await get(url)).body)
  })

  it('tells a program its token in a header, which it sends back', async () => {
    const app = express()
    const affinity = { by: 'header', name: 'X-Session-Target', secrets } as const
    app.use(balancer({ targets, strategy: 'round-robin', affinity }), answerWithTarget)
    const url = await listen(app)
    const first = await get(url)
    const token = first.headers['x-session-target'] as string
    for (let i = 0; i < 5; i++) expect((await get(url, { 'x-session-target': token })).body).toBe(first.body)
  })
})

describe('hash in an Express app', () => {
  it('sends what has the same key to the same target', async () => {
    const app = express()
    app.use(
      balancer({ targets, strategy: { name: 'hash', key: { cookie: 'session' }, boundedLoad: false } }),
      answerWithTarget,
    )
    const url = await listen(app)
    const homes = new Set<string>()
    for (let user = 0; user < 12; user++) {
      const cookie = `session=user-${user}`
      const home = (await get(url, { cookie })).body
      homes.add(home)
      for (let i = 0; i < 3; i++) expect((await get(`${url}/${i}`, { cookie })).body).toBe(home)
    }
    expect(homes.size).toBeGreaterThan(1)
  })
})
