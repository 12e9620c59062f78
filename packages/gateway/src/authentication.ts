import {
  type AuthenticateHandler,
  type AuthenticateOptions,
  authenticate,
  authorize,
  type ForwardIdentityHandler,
  forwardIdentity,
  type PassportStrategy,
} from '@postern/auth'
import { type ConfigFault, exchangeOf } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import type { AuthConfig, GatewayConfig, RouteAuthConfig, RouteConfig, UpstreamConfig } from './config.ts'
import { gather, isObject, refuseUnknownKeys } from './faults.ts'

/** Who may go where in one gateway: builds what guards its routes, and remembers what has to be closed. */
export class Guards {
  readonly #config: GatewayConfig
  readonly #faults: ConfigFault[]
  readonly #auth: AuthConfig | undefined
  /** By all routes that say nothing else: they share what is remembered of failures. */
  readonly #common: AuthenticateHandler | undefined
  readonly #commonRule: RouteHandler | undefined
  readonly #handlers: (AuthenticateHandler | ForwardIdentityHandler)[] = []
  /** Names of all headers that tell an upstream who is calling. */
  readonly #reserved = new Set<string>()

  /** @param faults gets what is wrong */
  constructor(config: GatewayConfig, faults: ConfigFault[]) {
    this.#config = config
    this.#faults = faults
    const { auth } = config
    if (auth === undefined) return
    if (!isObject(auth)) {
      const cure = 'write auth: { schemes: [jwt({ … })], rule: … }'
      faults.push({ path: 'auth', message: 'expected an object of schemes and a rule', received: auth, cure })
      return
    }
    refuseUnknownKeys(auth, AUTH_KEYS, 'auth', faults)
    this.#auth = auth
    this.#common = this.#authenticate(auth, 'auth')
    if (auth.rule !== undefined) this.#commonRule = this.#authorize(auth, 'auth', 'gateway')
  }

  /** The handlers that stand before whatever a route does. */
  of(row: RouteConfig, path: string): readonly RouteHandler[] {
    if (!isObject(row)) return []
    const { auth, public: isOpen } = row
    if (isOpen !== undefined && isOpen !== true) {
      this.#faults.push({ path: `${path}.public`, message: 'expected true', received: isOpen })
    }
    if (isOpen === true) {
      if (auth === undefined) return []
      const cure = 'take one of them away; a route that anonymous callers may use too has auth: { optional: true }'
      this.#faults.push({ path, message: 'has auth and is public', cure })
      return []
    }
    if (auth === undefined) return this.#inherited(row, path)
    if (isObject(auth)) return this.#own(auth, `${path}.auth`, row.id ?? row.path ?? row.prefix ?? path)
    const cure = "write auth: { rule: { scopes: ['products:read'] } }"
    this.#faults.push({ path: `${path}.auth`, message: 'expected an object with a rule', received: auth, cure })
    return []
  }

  /** What tells an upstream who is calling; undefined when it is told nothing. */
  forward(identity: UpstreamConfig['identity'], path: string): ForwardIdentityHandler | undefined {
    if (identity === undefined) return undefined
    const handler = gather(this.#faults, path, () => forwardIdentity({ ...identity, ...errorsOf(this.#config) }))
    if (handler === undefined) return undefined
    this.#handlers.push(handler)
    // Authorization is a client's own to send: what stands there for one upstream may be meant for another.
    for (const name of handler.reserved) if (name !== 'authorization') this.#reserved.add(name)
    return handler
  }

  /**
   * What takes the headers of all upstreams' identities from every request, on public routes too: a service that trusts such a
   * header must not be told it by a client, whichever way the request went. Undefined when there are none.
   */
  strip(): RouteHandler | undefined {
    if (this.#reserved.size === 0) return undefined
    const names = [...this.#reserved]
    return function identityHeadersHandler(req, res, next): void {
      const { outgoing } = exchangeOf(req, res)
      for (const name of names) outgoing.setReserved(name, undefined)
      next()
    }
  }

  close(): void {
    for (const handler of this.#handlers) handler.close()
  }

  /** A route that says nothing of its own. */
  #inherited(row: RouteConfig, path: string): readonly RouteHandler[] {
    if (this.#auth === undefined) return []
    if (this.#auth.rule === undefined) {
      const message = 'is closed: the gateway has auth, and neither of them has a rule'
      const cure = "give the route auth: { rule: 'authenticated' } or a narrower one, or open it with public: true"
      this.#faults.push({ path, message, received: row.path ?? row.prefix, cure })
    }
    return [this.#common, this.#commonRule].filter((handler) => handler !== undefined) as RouteHandler[]
  }

  #own(auth: RouteAuthConfig, path: string, id: string): readonly RouteHandler[] {
    refuseUnknownKeys(auth, ROUTE_AUTH_KEYS, path, this.#faults)
    const rule = auth.rule ?? this.#auth?.rule
    const optional = auth.optional ?? this.#auth?.optional ?? false
    if (rule === undefined && !optional) {
      const cure = "write rule: 'authenticated', or { scopes: ['products:read'] }"
      this.#faults.push({ path: `${path}.rule`, message: 'missing: the route is closed', cure })
    }
    if (auth.schemes === undefined && this.#auth === undefined) {
      const cure = 'give the route schemes: [jwt({ … })], or the gateway auth: { schemes: … }'
      this.#faults.push({ path: `${path}.schemes`, message: 'missing: nobody could say who he is', cure })
      return []
    }
    const isCommon = auth.schemes === undefined && auth.optional === undefined
    const who = isCommon ? this.#common : this.#authenticate({ ...this.#auth, ...auth } as AuthConfig, path)
    const may = auth.rule === undefined ? this.#commonRule : this.#authorize(auth, path, id)
    return [who, may].filter((handler) => handler !== undefined) as RouteHandler[]
  }

  #authenticate(auth: AuthConfig, path: string): AuthenticateHandler | undefined {
    const { schemes, rule: _, ...options } = auth
    const handler = gather(this.#faults, path, () => {
      const list = [schemes ?? []].flat() as [PassportStrategy, ...PassportStrategy[]]
      return authenticate(...list, { ...known(options), ...errorsOf(this.#config) })
    })
    if (handler !== undefined) this.#handlers.push(handler)
    return handler
  }

  #authorize({ rule }: RouteAuthConfig, path: string, name: string): RouteHandler | undefined {
    const ruled = gather(this.#faults, path, () => authorize(rule!, { name, ...errorsOf(this.#config) }))
    return ruled as RouteHandler | undefined
  }
}

const OPTION_KEYS: readonly (keyof AuthenticateOptions)[] = ['optional', 'credentials', 'failureLimit']
const AUTH_KEYS: readonly string[] = ['schemes', 'rule', ...OPTION_KEYS]
const ROUTE_AUTH_KEYS: readonly string[] = ['schemes', 'rule', 'optional']

/** Options that have no fault of their name; those that have are told of already. */
function known(options: object): AuthenticateOptions {
  return Object.fromEntries(Object.entries(options).filter(([key]) => (OPTION_KEYS as readonly string[]).includes(key)))
}

function errorsOf({ errors }: GatewayConfig): Pick<GatewayConfig, 'errors'> {
  return errors === undefined ? {} : { errors }
}
