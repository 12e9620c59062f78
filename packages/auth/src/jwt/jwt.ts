import type { IncomingMessage } from 'node:http'
import { Strategy } from 'passport-jwt'
import { runScheme, type SchemeStrategy, type StrategyActions } from '../passport/scheme-strategy.ts'
import { type JwtOptions, resolveJwtOptions } from './options.ts'
import { JwtScheme } from './scheme.ts'

/** The strategy that {@link jwt} returns. */
export interface JwtStrategy extends SchemeStrategy {
  /** How many verified tokens are remembered. */
  readonly remembered: number
  /** Forgets all verified tokens: each is verified anew, and it is asked anew whether it is revoked. */
  forgetAll(): void
}

/**
 * JSON Web Tokens (RFC 7519) as bearer tokens: a passport-jwt strategy with a stricter verifier under it.
 *
 * @throws ConfigError with all faults
 */
export function jwt(options: JwtOptions): JwtStrategy {
  return new PosternJwtStrategy(new JwtScheme(resolveJwtOptions(options)))
}

/** passport-jwt's own verifier is never reached: `authenticate()` is ours. */
class PosternJwtStrategy extends Strategy implements JwtStrategy {
  override readonly name: string
  readonly scheme: JwtScheme

  constructor(scheme: JwtScheme) {
    super({ jwtFromRequest: () => null, secretOrKeyProvider: unused }, unused)
    this.name = scheme.name
    this.scheme = scheme
  }

  get remembered(): number {
    return this.scheme.remembered
  }

  override authenticate(req: unknown): void {
    runScheme(this.scheme, this as unknown as StrategyActions, req as IncomingMessage)
  }

  forgetAll(): void {
    this.scheme.forgetAll()
  }

  close(): void {
    this.scheme.close()
  }
}

function unused(): never {
  throw new Error('passport-jwt verifies nothing here')
}
