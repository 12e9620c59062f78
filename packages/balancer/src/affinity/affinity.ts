import type { Exchange, Target } from '@postern/contracts'
import { clientOf } from '@postern/contracts'
import { readCookie, withoutCookie } from '../cookies.ts'
import type { TargetState } from '../member.ts'
import type { ResolvedAffinity } from './options.ts'
import { CookieWriter } from './set-cookie.ts'
import { TOKEN_LENGTH, TokenSigner } from './tokens.ts'

/** The part of a pool that affinity looks at. */
export interface BoundPool {
  /** All targets, whether they may be used or not; another array whenever one came or went. */
  readonly views: readonly TargetState[]
}

/**
 * Binds clients to targets: knows the tokens of a pool's targets, and how a client sends one and is given one.
 *
 * A token is looked up whole in a table of the pool's own tokens, which is worked out when targets come or go; so a
 * forged one is not found, at the cost of one look. Nothing is to be learned from how long that takes: the table is
 * entered by a hash of the whole token, with a seed of the process.
 */
export class Affinity {
  /** True when a client whose target is gone is refused. */
  readonly refuses: boolean
  readonly #pool: BoundPool
  readonly #options: ResolvedAffinity
  readonly #signer: TokenSigner
  readonly #cookies: CookieWriter | undefined
  #built: readonly TargetState[] | undefined = undefined
  #idsByToken = new Map<string, string>()

  constructor(options: ResolvedAffinity, pool: BoundPool) {
    this.refuses = options.refuses
    this.#pool = pool
    this.#options = options
    this.#signer = new TokenSigner(options.secrets)
    this.#cookies = options.by === 'cookie' ? new CookieWriter(options) : undefined
    // Signs a long list at the start and not for the first request.
    this.#table()
  }

  /** Name of the response header that tells a client its token. */
  get headerName(): string {
    return this.#options.by === 'cookie' ? 'set-cookie' : this.#options.name
  }

  /**
   * The token that a client has sent; undefined when there is none, or something else under its name. It is between the
   * client and the gateway: the upstream does not get it, whose logs and other readers could use it to sit beside the
   * client.
   */
  takeToken({ request, outgoing }: Exchange): string | undefined {
    let token: string | string[] | undefined
    if (this.#options.by === 'header') {
      token = request.headers[this.#options.name]
      outgoing.setReserved(this.#options.name, undefined)
    } else {
      const { cookie } = request.headers
      token = readCookie(cookie, this.#options.name)
      if (token !== undefined) {
        const rest = withoutCookie(cookie!, this.#options.name)
        // In front, since it is about what the client sent: cookies that earlier stages set or add stay.
        const edit = { op: rest === undefined ? 'remove' : 'set', name: 'cookie', value: rest ?? '' } as const
        outgoing.requestHeaders = [edit, ...(outgoing.requestHeaders ?? [])]
      }
    }
    return typeof token === 'string' && token.length === TOKEN_LENGTH ? token : undefined
  }

  /** Id of the target that a token stands for; undefined when it is none of the pool's. */
  idOf(token: string): string | undefined {
    return this.#table().get(token)
  }

  /** The token to give to clients of a target. */
  tokenOf(target: Target): string {
    return this.#signer.tokensOf(target)[0]!
  }

  /** True for a token that was given out once, though its target may be none of the pool's any more. */
  isGenuine(token: string): boolean {
    return this.#signer.isGenuine(token)
  }

  /** Value of the response header that binds a client to a target. */
  headerValue(target: Target, exchange: Exchange): string {
    const token = this.tokenOf(target)
    return this.#cookies === undefined ? token : this.#cookies.set(token, isHttps(exchange))
  }

  /** Takes the cookie back with whatever answer the exchange comes to, so that the client can begin anew. */
  takeBack(exchange: Exchange): void {
    const { response } = exchange
    if (this.#cookies === undefined || response.headersSent) return
    response.appendHeader('set-cookie', this.#cookies.remove(isHttps(exchange)))
  }

  #table(): ReadonlyMap<string, string> {
    const { views } = this.#pool
    if (views !== this.#built) {
      this.#built = views
      this.#idsByToken = new Map()
      for (const { id, target } of views) {
        for (const token of this.#signer.tokensOf(target)) this.#idsByToken.set(token, id)
      }
    }
    return this.#idsByToken
  }
}

function isHttps({ request }: Exchange): boolean {
  return clientOf(request).protocol === 'https'
}
