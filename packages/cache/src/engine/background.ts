import { IncomingMessage, type Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { Exchange, isEncrypted } from '@postern/contracts'

/** Fields of the client's request that a request of the cache's own does not have. */
const NOT_COPIED = new Set([
  'cache-control',
  'content-length',
  'expect',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'pragma',
  'range',
  'transfer-encoding',
  'x-request-id',
])

/** A request that no client has sent, with a response that nobody reads. */
export interface BackgroundRequest {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/**
 * Makes a GET request out of a client's, for the stages behind the cache or for the whole app: real objects, as
 * handlers know them, on a socket that was never connected.
 *
 * @param whole the client's exchange, when only the stages behind the cache get the request: what the stages before it have
 *   found out holds for it
 */
export function backgroundRequest(client: IncomingMessage, whole: Exchange | undefined): BackgroundRequest {
  const req = new IncomingMessage(standIn(client))
  req.method = 'GET'
  req.httpVersion = '1.1'
  req.httpVersionMajor = 1
  req.httpVersionMinor = 1
  req.rawHeaders = copiedFields(client.rawHeaders)
  // Node builds these out of the raw lines only where its parser has made them.
  req.headers = withoutNotCopied(client.headers)
  req.headersDistinct = withoutNotCopied(client.headersDistinct)
  req.complete = true
  req.push(null)
  const target = (client as { originalUrl?: string }).originalUrl ?? client.url ?? '/'
  req.url = target
  const res = new ServerResponse(req)
  makeSink(res)
  if (whole === undefined) {
    const exchange = new Exchange(req, res)
    exchange.background = true
    req.gateway = exchange
    return { req, res }
  }
  // Handlers find on it what Express and the stages before them have put on the client's: the user, the session, ….
  for (const name of Reflect.ownKeys(client)) {
    if (Object.hasOwn(req, name) || !isNote(name)) continue
    Object.defineProperty(req, name, Object.getOwnPropertyDescriptor(client, name)!)
  }
  Object.setPrototypeOf(req, Object.getPrototypeOf(client) as object)
  Object.setPrototypeOf(res, Object.getPrototypeOf(whole.response) as object)
  const { baseUrl, params, url } = client as { baseUrl?: string; params?: object; url?: string }
  Object.assign(req, { originalUrl: target, url, baseUrl, params, res })
  Object.assign(res, { locals: (whole.response as { locals?: object }).locals ?? {} })
  const exchange = new Exchange(req, res, whole)
  exchange.background = true
  exchange.deadline = undefined
  exchange.fallback = undefined
  req.gateway = exchange
  res.once('close', () => exchange.close())
  return { req, res }
}

/** Sends a request through the app that the client's request came in by. */
export function sendThroughApp(client: IncomingMessage, { req, res }: BackgroundRequest): void {
  const { server } = client.socket as { server?: Server }
  if (server?.emit('request', req, res) !== true) res.destroy()
}

function withoutNotCopied<Fields extends NodeJS.Dict<unknown>>(fields: Fields): Fields {
  const copy = { ...fields }
  for (const name in copy) if (NOT_COPIED.has(name)) delete copy[name]
  return copy
}

function copiedFields(raw: readonly string[]): string[] {
  const lines: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    if (!NOT_COPIED.has(raw[i]!.toLowerCase())) lines.push(raw[i]!, raw[i + 1]!)
  }
  return lines
}

/** A socket that says of the client what the client's said, and does nothing. */
export function standIn(client: IncomingMessage): Socket {
  const socket = new Socket()
  const { remoteAddress, remotePort, localAddress, localPort, server } = client.socket as Socket & { server?: Server }
  const values = { remoteAddress, remotePort, localAddress, localPort, server, encrypted: isEncrypted(client) }
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(socket, name, { value, configurable: true, writable: true })
  }
  return socket
}

/** Gives a response the ways of one that is being sent, with nobody at the other end. */
function makeSink(res: ServerResponse): void {
  let hasHead = false
  const close = (): void => {
    process.nextTick(() => {
      if (res.closed) return
      Object.defineProperty(res, 'closed', { value: true, configurable: true })
      res.emit('close')
    })
  }
  Object.defineProperty(res, 'headersSent', { get: () => hasHead, configurable: true })
  Object.defineProperty(res, 'writableEnded', { get: () => res.finished, configurable: true })
  res.writeHead = ((status: number) => {
    if (hasHead) throw new Error('The head of this response was written before.')
    hasHead = true
    res.statusCode = status
    return res
  }) as ServerResponse['writeHead']
  res.flushHeaders = () => {
    hasHead = true
  }
  res.write = ((_chunk: unknown, encoding?: unknown, callback?: unknown) => {
    hasHead = true
    callBack(encoding, callback)
    return true
  }) as ServerResponse['write']
  res.end = ((chunk?: unknown, encoding?: unknown, callback?: unknown) => {
    if (res.finished) return res
    hasHead = true
    res.finished = true
    callBack(typeof chunk === 'function' ? chunk : encoding, callback)
    process.nextTick(() => res.emit('finish'))
    close()
    return res
  }) as ServerResponse['end']
  res.destroy = () => {
    res.destroyed = true
    close()
    return res
  }
}

function callBack(encoding: unknown, callback: unknown): void {
  const done = typeof encoding === 'function' ? encoding : callback
  if (typeof done === 'function') process.nextTick(done)
}

/** Neither Node's private parts nor its symbols; those of the registry are how packages leave notes on a request. */
function isNote(name: string | symbol): boolean {
  return typeof name === 'symbol' ? Symbol.keyFor(name) !== undefined : !name.startsWith('_')
}
