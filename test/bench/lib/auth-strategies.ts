import {
  type ApiKeyRecord,
  apiKey,
  generateApiKey,
  type JwtStrategy,
  jwt,
  type SchemeStrategy,
  type TokenFunction,
} from '@postern/auth'
import { AUDIENCE, ISSUER } from './auth-credentials.ts'
import type { GatewayContext } from './protocol.ts'

/** So many keys are in the table; the requests show one of them. */
const KEYS = 1_000

/**
 * The strategy that checks the credentials which `params` speak of.
 *
 * @param from where it finds them, when that is not their usual header
 */
export function strategyOf(params: GatewayContext['params'], from?: TokenFunction): SchemeStrategy {
  return params.keyHash === undefined ? jwtOf(params, from) : apiKeyOf(params, from)
}

/** `jwt()` as an application uses it; `rememberBytes` where the scenario is about that. */
export function jwtOf({ publicKey, rememberBytes }: GatewayContext['params'], from?: TokenFunction): JwtStrategy {
  return jwt({
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['RS256'],
    publicKey: String(publicKey),
    typ: 'at+jwt',
    ...(from === undefined ? {} : { from }),
    ...(rememberBytes === undefined ? {} : { rememberBytes: Number(rememberBytes) }),
  })
}

function apiKeyOf({ keyHash }: GatewayContext['params'], from?: TokenFunction): SchemeStrategy {
  const records = Array.from({ length: KEYS - 1 }, (_, index): ApiKeyRecord => {
    const { hash, id } = generateApiKey({ prefix: 'shop_live_' })
    return { id, hash, subject: `partner-${index}`, scopes: ['products:read'] }
  })
  records.splice(KEYS >> 1, 0, { id: 'key_bench', hash: String(keyHash), subject: 'bench', scopes: ['products:read'] })
  return apiKey({ keys: records, prefix: 'shop_live_', ...(from === undefined ? {} : { from }) })
}
