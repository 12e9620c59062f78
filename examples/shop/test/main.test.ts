import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { eventually, request } from '@postern/test-kit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CARDS } from '../src/services/payments/bank.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

// A folder of its own shows what the example leaves behind.
let temporary: string
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'postern-shop-test-'))
})
afterEach(() => rm(temporary, { recursive: true, force: true }))

/** Runs the example as `pnpm start` does, and reads what it prints, until it has printed `text`. */
async function start(port: number, text = 'one line a request', env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--conditions=@postern/source', MAIN], {
    env: { ...process.env, PORT: String(port), TMPDIR: temporary, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  // `close` comes when the services, which share the pipes, are gone as well.
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  await eventually(() => printed.includes(text), { timeoutMs: 25_000 })
  return {
    child,
    closed,
    url: /the shop +(http:\S+)/.exec(printed)?.[1] ?? '',
    pids: Object.fromEntries(
      [...printed.matchAll(/^ {2}(\S+) .* pid (\d+)/gm)].map((match) => [match[1]!, Number(match[2])]),
    ),
    printed: () => printed,
    errors: () => errors,
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('main.ts', () => {
  test('prints where everything is, serves, logs, tells of an instance that is killed and comes back, drains at SIGINT and leaves nothing behind', async () => {
    const shop = await start(0, undefined, { RESTART_MS: '200' })
    try {
      expect(Object.keys(shop.pids)).toEqual(['accounts', 'products-1', 'products-2', 'inventory', 'payments'])
      expect(await readdir(temporary)).toHaveLength(1)
      const reply = await request(`${shop.url}/products/mug-blue`)
      expect(reply.status).toBe(200)
      await eventually(() => shop.printed().includes('"route":"'))
      const line = JSON.parse(/^\{.*"route".*$/m.exec(shop.printed())![0]) as object
      expect(line).toMatchObject({ path: '/products/mug-blue', status: 200, id: reply.headers['x-request-id'] })

      process.kill(shop.pids['products-2']!, 'SIGKILL')
      // With customers about it is noticed however soon it is back.
      await eventually(async () => {
        const headers = { 'cache-control': 'no-cache' }
        expect((await request(`${shop.url}/products/mug-blue`, { headers })).status).toBe(200)
        return shop.printed().includes('products-2 is unreachable')
      })
      await eventually(() => shop.printed().includes('>> products-2 is back'), { timeoutMs: 10_000 })
      const told = [...shop.printed().matchAll(/^>> (.*)$/gm)].map((match) => match[1]!)
      const pid = Number(/products-2 runs again, pid (\d+)/.exec(shop.printed())?.[1])
      expect(told.toSorted()).toEqual([
        'products-2 ended (SIGKILL). It is started again after 0.2 s.',
        'products-2 is back',
        'products-2 is unreachable: products-1 takes over',
        `products-2 runs again, pid ${pid}`,
      ])
      expect(isAlive(pid)).toBe(true)

      shop.child.kill('SIGINT')
      expect(await shop.closed).toEqual([0, null])
      expect([...Object.values(shop.pids), pid].filter(isAlive)).toEqual([])
      expect(await readdir(temporary)).toEqual([])
      expect(shop.errors()).toBe('')
    } finally {
      shop.child.kill('SIGKILL')
    }
  })

  test('prints lines to paste that do what it says', async () => {
    const shop = await start(0, undefined, { RESTART_MS: 'off' })
    try {
      const lines = [...shop.printed().matchAll(/^ {2}((?:curl |[A-Z_]+=).*)$/gm)].map((match) => match[1]!)
      // Marks between them tell where an answer ends.
      const { stdout } = await promisify(execFile)('sh', [
        '-c',
        lines.join('\necho; echo ===\n').replaceAll('curl ', 'curl -s '),
      ])
      const answers = stdout.split('\n===\n')
      const statuses = lines.map((line, i) => [line.split(' ')[0], /^HTTP\/1.1 (\d+)/.exec(answers[i]!)?.[1]])
      expect(statuses).toEqual([
        ['curl', undefined],
        ['curl', '200'],
        [expect.stringMatching(/^TOKEN=/), undefined],
        ['curl', '201'],
        ['curl', '401'],
        [expect.stringMatching(/^RESELLER_KEY=shop_/), undefined],
        [expect.stringMatching(/^FINTECH_KEY=shop_/), undefined],
        ['curl', undefined],
        ['curl', undefined],
        ['curl', '403'],
        [expect.stringMatching(/^STAFF_KEY=shop_/), undefined],
        ['curl', '200'],
        ['curl', undefined],
        ['curl', '200'],
      ])
      expect(JSON.parse(answers[0]!)).toMatchObject({ total: 4 })
      expect(JSON.parse(answers[7]!)).toMatchObject({ items: expect.any(Array) })
      expect(JSON.parse(answers[8]!)).toMatchObject({ sku: 'mug-blue', quantity: 2 })
      expect(JSON.parse(answers[12]!)).toMatchObject({ sku: 'mug-blue', priceCents: 990 })
      expect(answers[13]).toContain('"priceCents":990')
      expect(shop.errors()).toBe('')
      // Who came is in the log, and by what is not.
      expect(shop.printed()).toContain('"subject":"partner-mugs-and-more"')
      const logged = shop.printed().slice(shop.printed().indexOf('one line a request'))
      expect(logged).not.toContain('eyJ')
      for (const secret of [
        ...shop.printed().matchAll(/shop_\w{43}/g),
        /"password":"(\w+)"/.exec(shop.printed())![1]!,
      ]) {
        expect(logged).not.toContain(String(secret))
      }
    } finally {
      shop.child.kill('SIGINT')
      await shop.closed
    }
  })

  test('leaves nothing behind either when it is stopped while it starts', async () => {
    const shop = await start(0, 'starting accounts')
    await eventually(async () => expect(await readdir(temporary)).toHaveLength(1))
    shop.child.kill('SIGINT')
    expect(await shop.closed).toEqual([130, null])
    expect(await readdir(temporary)).toEqual([])
    expect(shop.errors()).toBe('')
  })

  test('says so when the port is taken and takes a free one; a second Ctrl-C ends it at once', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const settings = { RESTART_MS: 'off', FINTECH_KEY: 'key-of-the-fintech' }
    const shop = await start(port, undefined, settings)
    try {
      expect(shop.printed()).toContain(`port ${port} is taken`)
      expect(shop.url).not.toBe(`http://127.0.0.1:${port}`)

      expect(shop.printed()).toContain('Nobody starts it again.')

      const headers = { 'x-api-key': settings.FINTECH_KEY }
      const slow = request(`${shop.url}/payments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'slow', ...headers },
        body: JSON.stringify({ sku: 'mug-blue', card: CARDS.slow }),
      })
      const cut = expect(slow).rejects.toThrow('socket hang up')
      const stock = () => request(`${shop.url}/inventory/stock/mug-blue`, { headers })
      await eventually(async () => expect((await stock()).json()).toMatchObject({ reserved: 1 }))
      shop.child.kill('SIGINT')
      await eventually(() => shop.printed().includes('waiting for payments 1'))
      // Two signals close together are one key press; so it is pressed until it is heard.
      await eventually(() => !shop.child.kill('SIGINT') || shop.child.exitCode !== null, { intervalMs: 50 })
      expect(await shop.closed).toEqual([130, null])
      await cut
      expect(await readdir(temporary)).toEqual([])
      await eventually(() => expect(Object.values(shop.pids).filter(isAlive)).toEqual([]))
    } finally {
      shop.child.kill('SIGKILL')
      other.close()
    }
  })
})
