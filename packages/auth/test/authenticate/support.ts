import type { IncomingMessage } from 'node:http'
import type { Exchange } from '@postern/contracts'
import { bearerChallenge, type ChallengeError } from '../../src/challenge.ts'
import { soleLine } from '../../src/credentials/header-lines.ts'
import type { SchemeStrategy } from '../../src/passport/scheme-strategy.ts'
import { identityOf, refused, type Scheme, type Soon, type Verdict, verified } from '../../src/scheme.ts'
import { customScheme } from '../../src/schemes.ts'

/** Credentials are the value of a header of this scheme's name; `good:<subject>` holds. Each part can be replaced. */
export function testScheme(name: string, parts: Partial<Scheme> = {}): SchemeStrategy {
  return customScheme({
    name,
    find(req: IncomingMessage) {
      const value = soleLine(req, name)
      return typeof value === 'string' ? value : undefined
    },
    recall: () => undefined,
    verify: (credentials) => verdictOn(name, credentials),
    challenge: (error?: ChallengeError) => bearerChallenge(name, 'test', error),
    strip(_req: IncomingMessage, exchange: Exchange) {
      exchange.outgoing.editRequestHeader({ op: 'remove', name })
    },
    ...parts,
  })
}

export function verdictOn(name: string, credentials: string): Soon<Verdict> {
  if (!credentials.startsWith('good:')) return refused('made-up', { isGuess: true })
  return verified(identityOf(name, credentials.slice('good:'.length)))
}

/** The challenge of {@link testScheme}. */
export function challengeOf(name: string, error?: ChallengeError): string {
  return bearerChallenge(name, 'test', error)
}
