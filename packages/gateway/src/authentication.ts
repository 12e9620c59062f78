import {
  type AuthenticateHandler,
  type AuthenticateOptions,
  authenticate,
  authorize,
  type ForwardIdentityHandler,
  forwardIdentity,
  type PassportStrategy,
  type Scheme,
} from '@postern/auth'
import type { ConfigFault } from '@postern/contracts'
import type { RouteHandler } from '@postern/router'
import type { AuthConfig, BranchConfig, GatewayConfig, RouteAuthConfig, RouteConfig, UpstreamConfig } from './config.ts'
import { gather, isObject, refuseUnknownKeys } from './faults.ts'
import { shield } from './shield.ts'

/** What stands before whatever a route does. */
export interface RouteGuard {
  readonly handlers: readonly RouteHandler[]
  /** Those that are asked on the route. */
  readonly schemes: readonly Scheme[]
}

const UNGUARDED: RouteGuard = { handlers: [], schemes: [] }

function guardOf(who: AuthenticateHandler | undefined, may: RouteHandler | undefined): RouteGuard {
  const handlers = [who, may].filter((handler) => handler !== undefined) as RouteHandler[]
  return { handlers, schemes: who?.schemes ?? [] }
}

/** Names of the upstreams that a route may lead to. */
function upstreamsOf(row: RouteConfig): readonly (string | undefined)[] {
  if (!isObject(row)) return []
  const { upstream, split } = row
  const branches = isObject(split) ? (split as { branches?: unknown }).branches : split
  const rows = Array.isArray(branches) ? (branches as readonly BranchConfig[]).filter(isObject) : []
  return [upstream, ...rows.map((branch) => branch.upstream)]
}

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
  /** Names of the upstreams that do not see the client's credentials. */
  readonly #dropping = new Set<string | undefined>()

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
    refuseContradiction(auth, 'auth', faults)
  }

  /** Who is asked on a route, and what for. */
  of(row: RouteConfig, path: string): RouteGuard {
    if (!isObject(row)) return UNGUARDED
    const { auth, public: isOpen } = row
    if (isOpen !== undefined && isOpen !== true) {
      this.#faults.push({ path: `${path}.public`, message: 'expected true', received: isOpen })
    }
    if (isOpen === true) {
      if (auth === undefined) return UNGUARDED
      const cure = 'take one of them away; a route that anonymous callers may use too has auth: { optional: true }'
      this.#faults.push({ path, message: 'has auth and is public', cure })
      return UNGUARDED
    }
    if (auth === undefined) return this.#inherited(row, path)
    if (isObject(auth)) return this.#own(auth, `${path}.auth`, row.id ?? row.path ?? row.prefix ?? path)
    const cure = "write auth: { rule: { scopes: ['products:read'] } }"
    this.#faults.push({ path: `${path}.auth`, message: 'expected an object with a rule', received: auth, cure })
    return UNGUARDED
  }

  /** What tells an upstream who is calling; undefined when it is told nothing. */
  forward(identity: UpstreamConfig['identity'], name: string): ForwardIdentityHandler | undefined {
    if (identity === undefined) return undefined
    const handler = gather(this.#faults, `upstreams.${name}.identity`, () =>
      forwardIdentity({ ...identity, ...errorsOf(this.#config) }),
    )
    if (handler === undefined) return undefined
    this.#handlers.push(handler)
    if (handler.dropsCredentials) this.#dropping.add(name)
    // Authorization is a client's own to send: what stands there for one upstream may be meant for another.
    for (const header of handler.reserved) if (header !== 'authorization') this.#reserved.add(header)
    return handler
  }

  /**
   * What keeps from the route's upstreams that which only the gateway may say to them, on public routes too: a service that trusts
   * a header must not be told it by a client, whichever way the request went. Asked when all routes have their guards.
   */
  shield(row: RouteConfig, { schemes }: RouteGuard): RouteHandler | undefined {
    return shield({
      names: [...this.#reserved],
      others: this.#schemes().filter((scheme) => !schemes.includes(scheme)),
      drops: this.#auth?.credentials === 'drop' || upstreamsOf(row).some((name) => this.#dropping.has(name)),
    })
  }

  /** Names of all headers and query parameters that credentials stand in. */
  secretNames(): { readonly headers: readonly string[]; readonly query: readonly string[] } {
    const schemes = this.#schemes()
    return {
      headers: schemes.flatMap(({ secretNames }) => secretNames?.headers ?? []),
      query: schemes.flatMap(({ secretNames }) => secretNames?.query ?? []),
    }
  }

  /** Of all routes, each once. */
  #schemes(): readonly Scheme[] {
    return [...new Set(this.#handlers.flatMap((handler) => ('schemes' in handler ? handler.schemes : [])))]
  }

  close(): void {
    for (const handler of this.#handlers) handler.close()
  }

  /** A route that says nothing of its own. */
  #inherited(row: RouteConfig, path: string): RouteGuard {
    if (this.#auth === undefined) return UNGUARDED
    if (this.#auth.rule === undefined && this.#auth.optional !== true) {
      const message = 'is closed: the gateway has auth, and neither of them has a rule'
      const cure = "give the route auth: { rule: 'authenticated' } or a narrower one, or open it with public: true"
      this.#faults.push({ path, message, received: row.path ?? row.prefix, cure })
    }
    return guardOf(this.#common, this.#commonRule)
  }

  #own(auth: RouteAuthConfig, path: string, id: string): RouteGuard {
    refuseUnknownKeys(auth, ROUTE_AUTH_KEYS, path, this.#faults)
    refuseContradiction(auth, path, this.#faults)
    // Every rule asks for an identity: a route that anonymous callers may use has put itself out of the gateway's.
    const commonRule = auth.optional === true ? undefined : this.#auth?.rule
    const isOpen = auth.optional ?? this.#auth?.optional ?? false
    if (auth.rule === undefined && commonRule === undefined && isOpen !== true) {
      const cure = "write rule: 'authenticated', or { scopes: ['products:read'] }"
      this.#faults.push({ path: `${path}.rule`, message: 'missing: the route is closed', cure })
    }
    if (auth.schemes === undefined && this.#auth === undefined) {
      const cure = 'give the route schemes: [jwt({ … })], or the gateway auth: { schemes: … }'
      this.#faults.push({ path: `${path}.schemes`, message: 'missing: nobody could say who he is', cure })
      return UNGUARDED
    }
    const isCommon = auth.schemes === undefined && auth.optional === undefined
    const who = isCommon ? this.#common : this.#authenticate({ ...this.#auth, ...auth } as AuthConfig, path)
    const inherited = commonRule === undefined ? undefined : this.#commonRule
    const may = auth.rule === undefined ? inherited : this.#authorize(auth, path, id)
    return guardOf(who, may)
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

/** Whoever writes both takes one of them for something that it is not. */
function refuseContradiction({ rule, optional }: RouteAuthConfig, path: string, faults: ConfigFault[]): void {
  if (rule === undefined || optional !== true) return
  const cure =
    'take it away, or the rule; where anonymous callers may use a route, it has auth: { optional: true } and no rule'
  faults.push({
    path: `${path}.optional`,
    message: 'decides nothing beside a rule: every rule asks for an identity',
    cure,
  })
}

/** Options that have no fault of their name; those that have are told of already. */
function known(options: object): AuthenticateOptions {
  return Object.fromEntries(Object.entries(options).filter(([key]) => (OPTION_KEYS as readonly string[]).includes(key)))
}

function errorsOf({ errors }: GatewayConfig): Pick<GatewayConfig, 'errors'> {
  return errors === undefined ? {} : { errors }
}
