import { generateKeyPairSync, hash, randomBytes, sign } from 'node:crypto'
import type { Headers } from './request-bytes.ts'

/** What the requests of a scenario show: an RS256 access token, or an API key. */
export type CredentialKind = 'jwt' | 'api-key'

/** Credentials, from both sides. */
export interface Credentials {
  /** What a client sends. */
  readonly headers: Headers
  /** What a gateway checks it with. */
  readonly params: Readonly<Record<string, string>>
}

export const ISSUER = 'https://accounts.shop.example'
export const AUDIENCE = 'shop'
const KEY_ID = 'bench-1'
const HOLDS_SECONDS = 24 * 3_600

const made = new Map<CredentialKind, Credentials>()

/** The credentials of this run: made on first use, since an RSA key takes its time, and the same from then on. */
export function credentialsOf(kind: CredentialKind): Credentials {
  let credentials = made.get(kind)
  if (credentials === undefined) {
    credentials = kind === 'jwt' ? accessToken() : apiKey()
    made.set(kind, credentials)
  }
  return credentials
}

/** As identity providers issue them: 2048 bits, ten claims, about 900 bytes. */
function accessToken(): Credentials {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const header = { alg: 'RS256', typ: 'at+jwt', kid: KEY_ID }
  const nowSeconds = Math.floor(Date.now() / 1_000)
  const claims = {
    iss: ISSUER,
    sub: 'auth0|65f1c0ffee15600d5eed5eed',
    aud: [AUDIENCE],
    iat: nowSeconds,
    exp: nowSeconds + HOLDS_SECONDS,
    jti: randomBytes(16).toString('base64url'),
    client_id: 'shop-web',
    scope: 'openid profile email products:read orders:read orders:write payments:write',
    roles: ['customer'],
    email: 'ada@example.com',
  }
  const input = `${encoded(header)}.${encoded(claims)}`
  const signature = sign('sha256', Buffer.from(input, 'latin1'), privateKey).toString('base64url')
  return {
    headers: { authorization: `Bearer ${input}.${signature}` },
    params: { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string },
  }
}

function apiKey(): Credentials {
  const key = `shop_live_${randomBytes(32).toString('hex')}`
  return { headers: { 'x-api-key': key }, params: { keyHash: hash('sha256', key, 'hex') } }
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
}
