/**
 * Shows many tokens to one `jwt()`, each another, without any HTTP. Needs `--expose-gc`. They are ES256 tokens: signing a
 * hundred thousand takes seconds, and with their short signature they take more memory for each byte that is counted than
 * RS256 tokens do.
 */
import { generateKeyPairSync, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type JwtStrategy, jwt } from '@postern/auth'
import { AUDIENCE, ISSUER } from '../lib/auth-credentials.ts'
import { statusBytes } from '../lib/proc.ts'
import type { TokenShape, TokensOrder, TokensResult } from '../lib/protocol.ts'
import { heldBytes, longestCollectionMs, watchCollections } from '../lib/settled.ts'

/** Tokens that are shown before, to a `jwt()` that remembers none: code, keys and V8's spaces are there then. */
const WARMUP = 20_000
/** Tokens in one turn of the event loop; no more than a few requests would do. */
const TOKENS_A_TURN = 20
/** Few, since what is kept of them counts as growth. */
const SAMPLE = 200

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const HEADER = encoded({ alg: 'ES256', typ: 'at+jwt', kid: 'bench-1' })
const NOW_SECONDS = Math.floor(Date.now() / 1_000)
const request = new IncomingMessage(new Socket())

watchCollections()

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
}

function claimsOf(index: number, shape: TokenShape): object {
  const plain = {
    iss: ISSUER,
    sub: `customer-${String(index).padStart(8, '0')}`,
    aud: AUDIENCE,
    iat: NOW_SECONDS,
    exp: NOW_SECONDS + 3_600,
    scope: 'products:read orders:read payments:write',
  }
  if (shape === 'plain') return plain
  // The way Keycloak tells roles: of the realm, and of each client.
  const clients = ['account', 'shop', 'warehouse', 'billing', 'support', 'reports']
  const access = clients.map((name) => [name, { roles: [`${name}-${index % 977}`, 'view', 'manage', 'own'] }])
  return {
    ...plain,
    realm_access: { roles: ['offline_access', 'uma_authorization', `default-roles-${index % 977}`] },
    resource_access: Object.fromEntries(access),
    email: `customer-${index}@example.com`,
    email_verified: true,
    groups: Array.from({ length: 8 }, (_, i) => `/group-${(index + i) % 499}`),
  }
}

function tokenOf(index: number, shape: TokenShape): string {
  const input = `${HEADER}.${encoded(claimsOf(index, shape))}`
  const signature = sign('sha256', Buffer.from(input, 'latin1'), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  // As it comes from a socket: one flat text.
  return Buffer.from(`${input}.${signature.toString('base64url')}`, 'latin1').toString('latin1')
}

function strategy(rememberBytes?: number): JwtStrategy {
  return jwt({
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['ES256'],
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    ...(rememberBytes === undefined ? {} : { rememberBytes }),
  })
}

/** Shows that many tokens, a few in each turn of the event loop, and says how long the longest took. */
async function showAll({ scheme }: JwtStrategy, tokens: number, shape: TokenShape): Promise<number> {
  let longestMs = 0
  let turnAt = performance.now()
  for (let index = 0; index < tokens; index += 1) {
    const token = tokenOf(index, shape)
    const verdict = await (scheme.recall(token, request) ?? scheme.verify(token, request))
    if (verdict?.outcome !== 'verified') throw new Error(`token ${index} is not taken: ${JSON.stringify(verdict)}`)
    if (index % TOKENS_A_TURN !== 0) continue
    await nextTurn()
    const now = performance.now()
    longestMs = Math.max(longestMs, now - turnAt)
    turnAt = now
  }
  return longestMs
}

function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function fill({ tokens, shape }: TokensOrder): Promise<TokensResult> {
  const forgetful = strategy(0)
  await showAll(forgetful, WARMUP, shape)
  forgetful.close()
  const before = await heldBytes()
  const heapBefore = heapBytes()
  await longestCollectionMs()
  // proc(5): writing 5 sets the peak back to the current size.
  writeFileSync('/proc/self/clear_refs', '5')
  const watched = strategy()
  const first = await remembered(watched, shape, 0)
  const longestTurnMs = await showAll(watched, tokens - 2 * SAMPLE, shape)
  const last = await remembered(watched, shape, tokens)
  const peak = statusBytes('self', 'VmHWM')
  const collectionMs = await longestCollectionMs()
  const after = await heldBytes()
  const heapAfter = heapBytes()
  return {
    tokenBytes: last[0]!.length,
    sample: SAMPLE,
    remembered: watched.remembered,
    knownOfFirst: known(watched, first),
    knownOfLast: known(watched, last),
    growthBytes: after - before,
    heapGrowthBytes: heapAfter - heapBefore,
    peakGrowthBytes: peak - before,
    longestTurnMs,
    longestCollectionMs: collectionMs,
  }
}

/** Shows some tokens more, and keeps them to ask for them again: signed anew, they would be others. */
async function remembered({ scheme }: JwtStrategy, shape: TokenShape, from: number): Promise<readonly string[]> {
  const tokens = Array.from({ length: SAMPLE }, (_, index) => tokenOf(from + index, shape))
  for (const token of tokens) await scheme.verify(token, request)
  return tokens
}

function known({ scheme }: JwtStrategy, tokens: readonly string[]): number {
  return tokens.filter((token) => scheme.recall(token, request) !== undefined).length
}

process.on('message', (order: TokensOrder) => {
  fill(order).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })
