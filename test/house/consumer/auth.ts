import {
  type AuthenticateHandler,
  accessDecided,
  apiKey,
  authenticate,
  authorize,
  type ForwardIdentityHandler,
  forwardIdentity,
  generateApiKey,
  type InternalIssuer,
  internalIssuer,
  jwt,
  type Rule,
} from '@postern/auth'
import { harden, proxy } from '@postern/proxy'
import express from 'express'
import { served } from './support.js'

async function answerOf(url: string, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  const reply = await fetch(url, { headers })
  return { status: reply.status, text: await reply.text() }
}

function expectSame(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: ${String(found)}, not ${String(wanted)}`)
}

// A partner with a key, a gateway that knows its hash, and a service that believes the gateway alone.
const { key, hash, id } = generateApiKey({ prefix: 'acme_' })
const partners = apiKey({ prefix: 'acme_', keys: [{ id, hash, subject: 'acme', scopes: ['stock:read'] }] })
const issuer: InternalIssuer = internalIssuer({ issuer: 'https://gateway.internal' })
const audience = 'stock'

const service = express()
const gatewayOnly: AuthenticateHandler = authenticate(
  jwt({ issuer: issuer.issuer, audience, algorithms: ['ES256'], jwks: issuer.jwksDocument() }),
)
service.use(gatewayOnly, (req, res) => {
  res.send(`${req.gateway?.identity?.subject} by ${String(req.gateway?.identity?.claims.scheme)}`)
})

const rule: Rule = { methods: { GET: { scopes: 'stock:read' } } }
const forward: ForwardIdentityHandler = forwardIdentity({ token: { issuer, audience } })
const decisions: boolean[] = []
accessDecided.subscribe(({ allowed }) => decisions.push(allowed))

await served(service, async (upstream) => {
  expectSame('the service without a token', (await answerOf(upstream, {})).status, 401)
  const app = express()
  const guard = authenticate(partners)
  app.use('/stock', guard, authorize(rule), forward, proxy(upstream))
  const use = async (url: string): Promise<void> => {
    const stranger = await fetch(`${url}/stock`)
    expectSame('a stranger', stranger.status, 401)
    expectSame('its challenge', stranger.headers.get('www-authenticate'), 'ApiKey realm="api"')
    await stranger.body?.cancel()
    expectSame('a wrong key', (await answerOf(`${url}/stock`, { 'x-api-key': `${key}x` })).status, 401)
    const { status, text } = await answerOf(`${url}/stock`, { 'x-api-key': key })
    expectSame('the partner', `${status} ${text}`, '200 acme by api-key')
    const posted = await fetch(`${url}/stock`, { method: 'POST', headers: { 'x-api-key': key } })
    expectSame('a method without a rule', posted.status, 403)
    await posted.body?.cancel()
  }
  await served(app, use, (server) => harden(server))
  guard.close()
})
expectSame('decisions', decisions.join(), 'true,false')
gatewayOnly.close()
forward.close()
