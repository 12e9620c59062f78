import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'

/** What the parent process tells a service, as environment variables. */
export interface ServiceSettings {
  /** `products-1` */
  readonly instance: string
  /** Path of the service's own SQLite file; its instances share it. */
  readonly database: string
}

/** A service that is ready to listen. */
export interface Service {
  readonly app: Express
  /** Called with the server before it listens. */
  readonly onServer?: (server: Server) => void
  /** Says goodbye to connections that would stay open for ever. */
  readonly onStopping?: () => void
  /** Called when the last answer is out. */
  readonly onStopped: () => void
}

/** How long a service waits for what is under way once it was told to stop, in milliseconds. */
const GRACE_MS = 5_000

/**
 * Runs a service in this process: listens on 127.0.0.1, tells the parent which (`{ port }` over IPC), and
 * stops cleanly on SIGTERM or when the parent is gone.
 */
export function runService(build: (settings: ServiceSettings) => Service): void {
  const service = build({ instance: env('INSTANCE'), database: env('DATABASE') })
  const server = createServer(service.app)
  // Longer than the proxy in front keeps its idle connections, so that it never sends into one that we are closing.
  server.keepAliveTimeout = 30_000
  service.onServer?.(server)
  // Its own port, when it is started again; else a free one.
  server.listen(Number(process.env.SERVICE_PORT ?? 0), '127.0.0.1', () => {
    process.send?.({ port: (server.address() as AddressInfo).port })
  })

  let isStopping = false
  function stop(): void {
    if (isStopping) return
    isStopping = true
    server.close(() => {
      service.onStopped()
      process.exit(0)
    })
    service.onStopping?.()
    server.closeIdleConnections()
    setTimeout(() => process.exit(1), GRACE_MS).unref()
  }
  process.on('SIGTERM', stop)
  process.on('disconnect', stop)
  // It may have gone while we were loading, when nobody was listening.
  if (process.connected === false) stop()
  // Ctrl-C in a terminal reaches every process of the shop; when we stop is the parent's decision.
  process.on('SIGINT', () => {})
}

export function env(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is missing.`)
  return value
}
