import { certificates, request, type Served, serve } from '@postern/test-kit'
import express from 'express'
import { afterEach, describe, expect, test } from 'vitest'
import { type Client, clientOf, isEncrypted, isPeerTrusted, peerAddress } from '../src/index.ts'

let served: Served | undefined
afterEach(async () => {
  await served?.close()
})

const FORWARDED = {
  host: 'inner.test:81',
  'x-forwarded-for': '203.0.113.9, 198.51.100.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'shop.test',
}

interface Seen {
  readonly client: Client
  readonly trusted: boolean
}

async function underExpress(trust: unknown, headers: Record<string, string> = FORWARDED): Promise<Seen> {
  const app = express()
  if (trust !== undefined) app.set('trust proxy', trust)
  app.use((req, res) => void res.json({ client: clientOf(req), trusted: isPeerTrusted(req) }))
  served = await serve(app)
  return (await request(served.url, { headers })).json() as Seen
}

describe('clientOf under Express', () => {
  const peer = { address: '127.0.0.1', protocol: 'http', host: 'inner.test:81' }

  test.each([[undefined], [false], ['10.0.0.0/8']])(
    'with trust proxy %s, nothing that the peer says is believed',
    async (trust) => {
      expect(await underExpress(trust)).toEqual({ client: peer, trusted: false })
    },
  )

  test.each([
    [true, '203.0.113.9'],
    [1, '198.51.100.7'],
    ['loopback', '198.51.100.7'],
    [['loopback', '198.51.100.0/24'], '203.0.113.9'],
  ])('with trust proxy %j, the client is %s', async (trust, address) => {
    expect(await underExpress(trust)).toEqual({
      client: { address, protocol: 'https', host: 'shop.test' },
      trusted: true,
    })
  })

  test('a trusted peer that says nothing is the client itself', async () => {
    expect(await underExpress(true, { host: 'inner.test:81' })).toEqual({ client: peer, trusted: true })
  })

  test('IPv4 in IPv6 is written as IPv4', async () => {
    const { client } = await underExpress('loopback', { ...FORWARDED, 'x-forwarded-for': '::ffff:203.0.113.9' })
    expect(client.address).toBe('203.0.113.9')
  })

  test('holds in a mounted app', async () => {
    const outer = express().set('trust proxy', 'loopback')
    const inner = express()
    inner.use((req, res) => void res.json(clientOf(req)))
    outer.use('/in', inner)
    served = await serve(outer)
    const reply = await request(`${served.url}/in`, { headers: FORWARDED })
    expect(reply.json()).toMatchObject({ address: '198.51.100.7' })
  })
})

describe('clientOf in a bare server', () => {
  test('is the TCP peer', async () => {
    served = await serve((req, res) => {
      res.end(JSON.stringify({ client: clientOf(req), trusted: isPeerTrusted(req), peer: peerAddress(req) }))
    })
    expect((await request(served.url, { headers: FORWARDED })).json()).toEqual({
      client: { address: '127.0.0.1', protocol: 'http', host: 'inner.test:81' },
      trusted: false,
      peer: '127.0.0.1',
    })
  })

  test('knows TLS', async () => {
    served = await serve((req, res) => void res.end(JSON.stringify([isEncrypted(req), clientOf(req).protocol])), {
      tls: true,
    })
    expect((await request(served.url, { ca: certificates().ca.cert })).json()).toEqual([true, 'https'])
  })
})
