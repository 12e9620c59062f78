import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Target } from '@postern/contracts'
import { HpmExchange } from './hpm-exchange.ts'
import type { HpmServer, RequestOptions } from './hpm-server.ts'
import type { ConnectionSettings, ResponseSink, Upstream, UpstreamRequest } from './transport.ts'

/** Under this key a request's options carry its exchange to the agent, which is the first to see the request object. */
const EXCHANGE = Symbol('postern.exchange')

/** What Node asks of an agent, and what agents that pool offer beyond it. */
interface PoolingAgent extends http.Agent {
  readonly options?: object
  addRequest(client: ClientRequest, options: object): void
  createSocket?(client: ClientRequest, options: object, done: (error: Error | null, socket?: Socket) => void): void
}

type AgentOptions = https.AgentOptions & { readonly socketPath?: string }

/** The connections to one target, and the requests on them. */
export class HpmUpstream implements Upstream {
  readonly target: Target
  readonly settings: ConnectionSettings
  readonly server: HpmServer
  readonly #hostname: string
  readonly #port: string
  readonly #tls: https.AgentOptions
  /** Ours, to be closed with us; undefined: the user's is used. */
  readonly #own: http.Agent | undefined
  readonly #pooled: http.Agent
  /** Connections of one request each. */
  readonly #single: http.Agent
  readonly #active = new Set<HpmExchange>()
  #whenIdle: (() => void) | undefined = undefined

  constructor(target: Target, settings: ConnectionSettings, server: HpmServer) {
    this.target = target
    this.settings = settings
    this.server = server
    const url = new URL(target.origin)
    this.#hostname = url.hostname.replace(/^\[|\]$/g, '')
    this.#port = url.port
    this.#tls = target.secure ? tlsOptions(target, this.#hostname) : {}
    const { agent } = server.options
    const name = `${this.#hostname}:${this.#port}:`
    // An idle connection is kept so long, and shorter when the target says so; none is kept beyond the bound.
    const pooling = { keepAlive: true, timeout: settings.keepAliveMs, maxFreeSockets: settings.maxConnections }
    this.#own = agent === undefined ? makeAgent(target, name, { ...this.#tls, ...pooling }) : undefined
    this.#pooled = watched(this.#own ?? agent, false)
    this.#single = agent === undefined ? watched(makeAgent(target, name, this.#tls), false) : watched(agent, true)
  }

  dispatch(request: UpstreamRequest, sink: ResponseSink): void {
    let exchange: HpmExchange
    try {
      exchange = new HpmExchange(this, request, sink)
    } catch (error) {
      sink.onError(error as Error, 'proxy_internal_error')
      return
    }
    this.#active.add(exchange)
    if (exchange.upgrade === undefined) exchange.send()
    else this.#sendUpgrade(exchange, exchange.upgrade)
  }

  /** Fills in what http-proxy-middleware needs to make the request of an exchange. */
  route(exchange: HpmExchange, options: RequestOptions): NonNullable<RequestOptions['target']> {
    options.agent = exchange.fresh ? this.#single : this.#pooled
    options.secure = this.#tls.rejectUnauthorized !== false
    // httpxy starts from these when it puts the options of the request together.
    options.ssl = this.#requestOptions(exchange)
    const { socketPath } = this.target
    return {
      protocol: this.target.secure ? 'https:' : 'http:',
      host: this.#hostname,
      hostname: this.#hostname,
      port: this.#port,
      ...(socketPath === undefined ? null : { socketPath }),
    }
  }

  /** The request became a tunnel. */
  onUpgraded(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { server } = this
    server.tell('open', [socket], (error) => server.report('open', error))
    if (!server.has('close')) return
    socket.once('end', () => server.tell('close', [incoming, socket, head], (error) => server.report('close', error)))
  }

  leave(exchange: HpmExchange): void {
    this.#active.delete(exchange)
    if (this.#active.size === 0) this.#whenIdle?.()
  }

  async close(): Promise<void> {
    if (this.#own !== undefined) {
      this.#own.maxFreeSockets = 0
      for (const idle of Object.values(this.#own.freeSockets)) for (const socket of [...(idle ?? [])]) socket.destroy()
    }
    if (this.#active.size === 0) return
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
  }

  async destroy(): Promise<void> {
    for (const exchange of [...this.#active]) {
      exchange.fail(new Error('the connections to the target are being closed'), 'destination_unavailable')
    }
    this.#own?.destroy()
    this.#single.destroy()
  }

  /**
   * http-proxy-middleware writes the 101 to the client's connection itself, which is for the proxy to do. So upgrades are
   * made here, with the same options, agent and handlers.
   */
  #sendUpgrade(exchange: HpmExchange, protocol: string): void {
    const { headers, auth, localAddress } = this.server.options
    const { socketPath } = this.target
    const options = {
      ...this.#requestOptions(exchange),
      method: exchange.method,
      path: exchange.path,
      host: this.#hostname,
      port: this.#port,
      headers: { ...exchange.headers, ...headers, connection: 'Upgrade', upgrade: protocol },
      agent: this.#single,
      // A tunnel may close one direction and go on in the other.
      allowHalfOpen: true,
      ...(socketPath === undefined ? null : { socketPath }),
      ...(auth === undefined ? null : { auth }),
      ...(localAddress === undefined ? null : { localAddress }),
    }
    let client: ClientRequest
    try {
      client = (this.target.secure ? https : http).request(options)
    } catch (error) {
      exchange.onNotTaken(error)
      return
    }
    client.on('response', (incoming) => exchange.onResponse(incoming))
    const { req } = exchange
    this.server.tell('proxyReqWs', [client, req, req.socket, options, Buffer.alloc(0)], (error) =>
      exchange.onNotTaken(error),
    )
    client.on('socket', () => exchange.onReadyForBody())
  }

  #requestOptions(exchange: HpmExchange): https.RequestOptions {
    return {
      ...(this.#own === undefined ? this.#tls : null),
      maxHeaderSize: this.settings.maxResponseHeaderBytes,
      // Always there, so that a preserved client `Host` never decides what is verified.
      ...(this.target.secure ? { servername: this.#tls.servername! } : null),
      [EXCHANGE]: exchange,
    } as https.RequestOptions
  }
}

function tlsOptions({ tls }: Target, hostname: string): https.AgentOptions {
  return {
    // An IP address has no server name (RFC 6066 §3); the certificate is then verified for the address.
    servername: tls?.servername ?? (isIP(hostname) === 0 ? hostname : ''),
    rejectUnauthorized: tls?.rejectUnauthorized ?? true,
    ...(tls?.ca === undefined ? null : { ca: tls.ca as string[] }),
    ...(tls?.cert === undefined ? null : { cert: tls.cert }),
    ...(tls?.key === undefined ? null : { key: tls.key }),
    ...(tls?.passphrase === undefined ? null : { passphrase: tls.passphrase }),
  }
}

/** An agent for one target; every connection in it fits, so that there is no need to compare them by a long name. */
function makeAgent(target: Target, name: string, options: AgentOptions): http.Agent {
  const agent = target.secure ? new https.Agent(options) : new http.Agent(options)
  agent.getName = () => name
  return agent
}

/**
 * The same agent, but the exchange is shown the request object before a connection is looked for.
 *
 * @param alwaysNew passes by the agent's pool, as far as the agent lets us
 */
function watched(agent: http.Agent, alwaysNew: boolean): http.Agent {
  const pooling = agent as PoolingAgent
  const addRequest = (client: ClientRequest, options: { [EXCHANGE]?: HpmExchange }): void => {
    options[EXCHANGE]?.onRequestMade(client)
    if (!alwaysNew || pooling.createSocket === undefined) {
      pooling.addRequest(client, options)
      return
    }
    const { onSocket } = client as unknown as { onSocket(socket: Socket | undefined, error: Error | null): void }
    pooling.createSocket(client, { ...options, ...pooling.options }, (error, socket) =>
      Reflect.apply(onSocket, client, [socket, error]),
    )
  }
  return Object.create(agent, { addRequest: { value: addRequest } }) as http.Agent
}
