import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Target } from '@postern/contracts'

const NAME_BYTES = 12
const MAC_BYTES = 16
const NAME_LENGTH = 16
/** Characters of every token. */
export const TOKEN_LENGTH = 39

/**
 * Makes the tokens that bind a client to a target: `<name>.<mac>`. The name is an HMAC-SHA256 of the target's id, so
 * that nothing internal can be read from it or found by trying; the mac signs it, so that a token of a target that has
 * left is told from one that somebody made up. What it does tell: whether two clients are bound to the same target.
 */
export class TokenSigner {
  readonly #secrets: readonly string[]
  readonly #known = new WeakMap<Target, readonly string[]>()

  /** @param secrets the first signs; all are good for tokens that come back */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets
  }

  /** The tokens of a target, one a secret; the first is the one to give out. */
  tokensOf(target: Target): readonly string[] {
    let tokens = this.#known.get(target)
    if (tokens === undefined) {
      tokens = this.#secrets.map((secret) => {
        const name = digest(secret, 'target', target.id, NAME_BYTES).toString('base64url')
        return `${name}.${digest(secret, 'token', name, MAC_BYTES).toString('base64url')}`
      })
      this.#known.set(target, tokens)
    }
    return tokens
  }

  /** True when one of the secrets has signed the token, whether its target is known or not. In constant time. */
  isGenuine(token: string): boolean {
    if (token.length !== TOKEN_LENGTH || token[NAME_LENGTH] !== '.') return false
    const name = token.slice(0, NAME_LENGTH)
    const mac = Buffer.from(token.slice(NAME_LENGTH + 1), 'base64url')
    if (mac.length !== MAC_BYTES) return false
    return this.#secrets.some((secret) => timingSafeEqual(digest(secret, 'token', name, MAC_BYTES), mac))
  }
}

/** One secret serves two purposes, and what was made for one must not pass for the other. */
function digest(secret: string, purpose: 'target' | 'token', text: string, bytes: number): Buffer {
  return createHmac('sha256', secret).update(`postern affinity ${purpose}\0${text}`).digest().subarray(0, bytes)
}
