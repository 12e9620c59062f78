import { createPublicKey, randomUUID } from 'node:crypto'
import { exportJWK, type JWK, SignJWT } from 'jose'
import type { Customer, SigningKey } from './store.ts'

/** The name of this issuer in its tokens, wherever it happens to run. */
export const ISSUER = 'https://accounts.shop.example'
/** For whom the tokens are. */
export const AUDIENCE = 'shop'
/** How long a customer is signed in, in seconds. */
export const LIFE_S = 15 * 60

/** What every customer may do; whose orders and payments, the services ask by `sub`. */
const SCOPE = 'orders:read payments:read payments:write'

export interface Tokens {
  /** An access token as RFC 9068 has it. */
  issue(customer: Customer): Promise<string>
  /** The public key, by which everybody can tell that a token is of this issuer (RFC 7517 §5). */
  jwks(): Promise<{ readonly keys: readonly JWK[] }>
}

export function createTokens({ kid, privateKey }: SigningKey): Tokens {
  return {
    issue: ({ id, role }) =>
      new SignJWT({ client_id: 'shop', scope: SCOPE, ...(role === 'staff' && { roles: ['staff'] }) })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(id)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime(`${LIFE_S} s`)
        .sign(privateKey),
    async jwks() {
      return { keys: [{ ...(await exportJWK(createPublicKey(privateKey))), kid, alg: 'ES256', use: 'sig' }] }
    },
  }
}
