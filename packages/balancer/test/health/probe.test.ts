import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTarget, type TargetOptions } from '@postern/contracts'
import {
  answer,
  blackholeTarget,
  certificates,
  dribble,
  eventually,
  halfHead,
  neverAnswer,
  type RawScript,
  refusedPort,
  resetAtOnce,
  startRawUpstream,
  startUpstream,
  type UpstreamHandler,
  type UpstreamOptions,
  unaskedSwitch,
} from '@postern/test-kit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type HealthOptions, resolveHealth } from '../../src/health/options.ts'
import { type ProbeResult, probe } from '../../src/health/probe.ts'

async function upstream(handler: UpstreamHandler, options?: UpstreamOptions) {
  const started = await startUpstream(handler, options)
  onTestFinished(() => started.close())
  return started
}

function ask(target: string | TargetOptions, options: Partial<HealthOptions> = {}): Promise<ProbeResult> {
  const resolved = resolveHealth({ path: '/healthz', timeoutMs: 2_000, ...options }, [])!
  return probe(createTarget(target), resolved, new AbortController().signal)
}

const answers = (status: number, body = 'ok'): UpstreamHandler => {
  return (_req, res) => {
    res.statusCode = status
    res.end(body)
  }
}

describe('a probe', () => {
  it('asks the path as it is, over a connection of its own, and says who it is', async () => {
    const up = await upstream(answers(204, ''))
    const result = await ask(`${up.url}/base`, { headers: { 'x-key': 'k' } })
    expect(result).toMatchObject({ healthy: true, answered: true, connected: true, status: 204, fault: undefined })
    expect(up.last).toMatchObject({ method: 'GET', url: '/healthz' })
    expect(up.last.headers).toMatchObject({
      host: `127.0.0.1:${up.port}`,
      'user-agent': 'postern-health',
      'x-key': 'k',
      connection: 'close',
    })
    await ask(up.url)
    expect(up.connections).toBe(2)
    await eventually(() => up.sockets === 0)
  })

  it('takes a method, a host and a user agent of one’s own', async () => {
    const up = await upstream(answers(200))
    await ask(up.url, { method: 'HEAD', host: 'shop.test', headers: { 'User-Agent': 'mine' } })
    expect(up.last).toMatchObject({ method: 'HEAD', headers: { host: 'shop.test', 'user-agent': 'mine' } })
    expect(up.last.all('user-agent')).toEqual(['mine'])
  })

  it('takes another port of the same host', async () => {
    const [up, admin] = [await upstream(answers(500)), await upstream(answers(200))]
    expect(await ask(up.url, { port: admin.port })).toMatchObject({ healthy: true })
    expect(up.requests).toHaveLength(0)
  })

  it.each([
    [undefined, 200, true],
    [undefined, 299, true],
    [undefined, 302, false],
    [undefined, 404, false],
    [undefined, 503, false],
    [[503], 503, true],
    [[200, [400, 404]], 404, true],
    [[200, [400, 404]], 405, false],
  ] as const)('that expects %j takes %s for healthy: %s', async (expectStatus, status, healthy) => {
    const up = await upstream((_req, res) => {
      res.writeHead(status, { location: '/elsewhere' })
      res.end()
    })
    const fault = healthy ? undefined : `status ${status}`
    const result = await ask(up.url, expectStatus === undefined ? {} : { expectStatus })
    expect(result).toMatchObject({ healthy, status, fault, answered: true })
    expect(up.requests).toHaveLength(1)
  })

  it.each([
    ['a body with the text', 'all is ready here', 'ready', true],
    ['another body', 'starting', 'ready', false],
    ['a body that matches', '{"status":"UP"}', /"status":\s*"UP"/g, true],
    ['the text in the first 64 KiB', `${'x'.repeat(65_000)}ready`, 'ready', true],
    ['the text only beyond them', `${'x'.repeat(65_534)}ready${'x'.repeat(1_000_000)}`, 'ready', false],
  ])('looks for %s', async (_, body, expectBody, healthy) => {
    const up = await upstream(answers(200, body))
    for (let i = 0; i < 2; i++) {
      expect(await ask(up.url, { expectBody })).toMatchObject({ healthy, fault: healthy ? undefined : 'body' })
    }
  })

  it('reads no more of an endless body than it looks at', async () => {
    let sent = 0
    const up = await upstream((_req, res) => {
      const chunk = Buffer.alloc(65_536)
      const more = () => {
        while (!res.destroyed && res.write(chunk)) sent += chunk.length
      }
      res.on('drain', more)
      more()
    })
    expect(await ask(up.url)).toMatchObject({ healthy: true })
    await eventually(() => up.sockets === 0)
    expect(sent).toBeLessThan(16 * 1_048_576)
  })

  it.each<[string, RawScript, string]>([
    ['never answers', neverAnswer(), 'timeout'],
    ['stops in the head', halfHead(), 'timeout'],
    ['drips its body', dribble(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(1_000)}`, 50), 'timeout'],
  ])('gives up on a target that %s', async (_, script, fault) => {
    const up = await startRawUpstream(script)
    onTestFinished(() => up.close())
    const result = await ask(up.url, { timeoutMs: 100 })
    expect(result).toMatchObject({ healthy: false, connected: true, fault })
    expect(result.durationMs).toBeLessThan(1_000)
    await eventually(() => up.sockets === 0)
  })

  it.each<[string, RawScript, string]>([
    ['resets the connection', resetAtOnce(), 'ECONNRESET'],
    ['switches protocols', unaskedSwitch(), 'no answer'],
    ['answers nonsense', answer('garbage\r\n\r\n'), 'HPE_INVALID_CONSTANT'],
  ])('fails at a target that %s', async (_, script, fault) => {
    const up = await startRawUpstream(script)
    onTestFinished(() => up.close())
    expect(await ask(up.url)).toMatchObject({ healthy: false, answered: false, fault })
  })

  it('tells a connection that is refused from one that hangs', async () => {
    const [refused, blackhole] = [await refusedPort(), await blackholeTarget()]
    onTestFinished(async () => {
      await refused.close()
      await blackhole.close()
    })
    expect(await ask(refused.url)).toMatchObject({ healthy: false, connected: false, fault: 'ECONNREFUSED' })
    const hung = await ask(blackhole.url, { timeoutMs: 100 })
    expect(hung).toMatchObject({ healthy: false, connected: false, fault: 'timeout' })
  })

  it('is ended early by its signal', async () => {
    const up = await upstream(() => {})
    const closing = new AbortController()
    const resolved = resolveHealth('/healthz', [])!
    const result = probe(createTarget(up.url), resolved, closing.signal)
    await eventually(() => up.requests.length === 1)
    closing.abort()
    expect(await result).toMatchObject({ healthy: false, fault: 'closed' })
    await eventually(() => up.sockets === 0)
  })

  it('goes over a Unix socket', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const up = await upstream(answers(200), { socketPath: join(directory, 'app.sock') })
    expect(await ask(up.url, { port: 1 })).toMatchObject({ healthy: true })
    expect(await ask(`unix:${join(directory, 'other.sock')}`)).toMatchObject({ connected: false, fault: 'ENOENT' })
  })
})

describe('a probe over TLS', () => {
  const { ca, client, server, wrongHost } = certificates()

  it('trusts what the target’s own options trust, and nobody else', async () => {
    const up = await upstream(answers(200), { tls: true })
    expect(await ask({ url: up.url, tls: { ca: ca.cert } })).toMatchObject({ healthy: true })
    expect(await ask(up.url)).toMatchObject({ healthy: false, connected: false })
    expect(await ask({ url: up.url, tls: { rejectUnauthorized: false } })).toMatchObject({ healthy: true })
  })

  it('verifies the name: the target’s own, or the one that its options say', async () => {
    const up = await upstream(answers(200), { tls: wrongHost })
    const fault = 'ERR_TLS_CERT_ALTNAME_INVALID'
    expect(await ask({ url: up.url, tls: { ca: ca.cert } })).toMatchObject({ healthy: false, connected: false, fault })
    const named = { ca: ca.cert, servername: 'elsewhere.test' }
    expect(await ask({ url: up.url, tls: named })).toMatchObject({ healthy: true })
  })

  it('fails, and throws nothing, with a certificate that cannot be read', async () => {
    const result = await ask({ url: 'https://127.0.0.1:9', tls: { cert: 'nonsense', key: 'nonsense' } })
    expect(result).toMatchObject({ healthy: false, connected: false, fault: expect.stringMatching(/^ERR_OSSL/) })
  })

  it('shows the client certificate', async () => {
    const tls = { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: true }
    const up = await upstream(answers(200), { tls })
    expect(await ask({ url: up.url, tls: { ca: ca.cert, ...client } })).toMatchObject({ healthy: true })
    expect(await ask({ url: up.url, tls: { ca: ca.cert } })).toMatchObject({ healthy: false })
  })
})
