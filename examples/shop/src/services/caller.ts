import type { RequestHandler, Response } from 'express'
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import { ServiceError } from './http.ts'
import { env } from './run.ts'

/** Who is calling, as the gateway has found out. */
export interface Caller {
  readonly subject: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
}

/**
 * Finds out who is calling by the value of `Authorization`.
 *
 * @throws ServiceError 401 without a token that holds, 503 while the gateway's keys cannot be had
 */
export type VerifyCaller = (authorization: string | undefined) => Promise<Caller>

/**
 * Takes the gateway's tokens and no others. A token is for one service alone, so that none can show it to another; whose
 * keys it may be signed with, and by which algorithm, is never the token's own to say.
 *
 * @param audience the name of the service that asks
 */
export function gatewayCallers(audience: string): VerifyCaller {
  const issuer = env('GATEWAY_ISSUER')
  const keys = createRemoteJWKSet(new URL(env('GATEWAY_JWKS')))
  return async (authorization) => {
    const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) throw unauthorized()
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ['ES256'],
        requiredClaims: ['sub', 'exp'],
      })
      return callerIn(payload)
    } catch (error) {
      throw isOfToken(error) ? unauthorized() : keysUnavailable(error)
    }
  }
}

/** Lets nobody through whom `verify` does not know; {@link callerOf} then says who it is. */
export function callersOnly(verify: VerifyCaller): RequestHandler {
  return async function callerHandler(req, res, next) {
    res.locals.caller = await verify(req.get('authorization'))
    next()
  }
}

/** Behind {@link callersOnly}: who is calling. */
export function callerOf(res: Response): Caller {
  return res.locals.caller as Caller
}

export function unauthorized(): ServiceError {
  return new ServiceError(401, 'gateway_only', 'This service is asked through the gateway.')
}

function callerIn({ sub, scope, roles }: JWTPayload): Caller {
  return {
    subject: sub!,
    scopes: typeof scope === 'string' ? scope.split(' ') : [],
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === 'string') : [],
  }
}

/** False when it is not the token's fault: the keys were not answered, or by something that is no JWKS. */
function isOfToken(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false
  const { code } = error
  return code !== 'ERR_JOSE_GENERIC' && code !== 'ERR_JWKS_TIMEOUT' && code !== 'ERR_JWKS_INVALID'
}

function keysUnavailable(cause: unknown): ServiceError {
  console.error('The keys of the gateway cannot be had', cause)
  return new ServiceError(503, 'keys_unavailable', 'It cannot be told right now who is calling.')
}
