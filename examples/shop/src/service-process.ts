import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface ServiceSpec {
  /** The service's folder under `services/`. */
  readonly service: 'accounts' | 'products' | 'inventory' | 'payments'
  /** Tells instances apart: `products-1`. */
  readonly instance: string
  /** Path of the SQLite file of the service, which its instances share; made when there is none. */
  readonly database: string
  /** @default a free one */
  readonly port?: number
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>
}

/** How a process ended. */
export interface ServiceEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A service that runs in a process of its own and answers. */
export interface ServiceProcess {
  readonly service: ServiceSpec['service']
  readonly instance: string
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Resolves when the process is gone, whatever the reason. */
  readonly ended: Promise<ServiceEnd>
  /** Undefined while it runs. */
  readonly end: ServiceEnd | undefined
  /** Asks it to finish what is under way and to end; kills it when it does not within `graceMs`. */
  stop(graceMs: number): Promise<void>
  /** Ends it at once. */
  kill(): void
}

const START_MS = 20_000

/**
 * Starts a service and waits until it listens.
 *
 * @param onSpawn told at once how to end the process that was made
 * @throws when it ends before, or takes longer than twenty seconds
 */
export async function startService(spec: ServiceSpec, onSpawn: (kill: () => void) => void): Promise<ServiceProcess> {
  const main = fileURLToPath(new URL(`./services/${spec.service}/main.ts`, import.meta.url))
  const child = fork(main, {
    env: {
      ...process.env,
      ...spec.env,
      INSTANCE: spec.instance,
      DATABASE: spec.database,
      SERVICE_PORT: String(spec.port ?? 0),
    },
    // The services know nothing of the gateway, nor of the flags that it is run with.
    execArgv: [],
  })
  const kill = (): void => void child.kill('SIGKILL')
  onSpawn(kill)
  let end: ServiceEnd | undefined
  const ended = new Promise<ServiceEnd>((resolve) => {
    child.once('exit', (code, signal) => {
      end = { code, signal }
      resolve(end)
    })
  })
  const port = await portOf(child, spec.instance)
  return {
    service: spec.service,
    instance: spec.instance,
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid!,
    ended,
    get end() {
      return end
    },
    async stop(graceMs) {
      if (end !== undefined) return
      child.kill('SIGTERM')
      const timer = setTimeout(kill, graceMs)
      await ended
      clearTimeout(timer)
    },
    kill,
  }
}

async function portOf(child: ChildProcess, instance: string): Promise<number> {
  const waiting = new AbortController()
  const { signal } = waiting
  const timer = setTimeout(() => waiting.abort(), START_MS)
  try {
    const ready = once(child, 'message', { signal })
    const gone = once(child, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`${instance} ended (${by ?? `exit code ${code}`}) before it listened`)
    })
    const [message] = (await Promise.race([ready, gone])) as [{ readonly port: number }]
    // The race is decided; what is left of it must not be reported as unhandled.
    gone.catch(() => {})
    return message.port
  } catch (error) {
    child.kill('SIGKILL')
    throw signal.aborted ? new Error(`${instance} did not listen within ${START_MS / 1_000} s`) : error
  } finally {
    clearTimeout(timer)
    waiting.abort()
  }
}
