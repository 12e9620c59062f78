import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ShopTargets } from './gateway.ts'
import type { KeyServer } from './key-server.ts'
import { type ServiceProcess, type ServiceSpec, startService } from './service-process.ts'

export interface ShopOptions {
  /** How services know the gateway's tokens. */
  readonly keyServer: Pick<KeyServer, 'issuer' | 'jwksUri'>
  /** The password of all customers in the new database. */
  readonly customerPassword: string
  /**
   * After how many milliseconds a service that ended by itself is started again, on its old port and with its old data.
   * @default never
   */
  readonly restartMs?: number | undefined
  /** Called when a service ends that was not asked to. */
  readonly onEnded?: (service: ServiceProcess) => void
  /** Called when a service that had ended listens again. */
  readonly onRestarted?: (service: ServiceProcess) => void
}

/** The services of the shop, each in a process of its own. */
export interface Shop {
  /** Live: one that was started again takes the place of the one that ended. */
  readonly services: readonly ServiceProcess[]
  /** Where the gateway finds them. */
  readonly targets: ShopTargets
  /** Folder of the SQLite files; removed by `close()`. */
  readonly folder: string
  /** @throws when there is no such instance */
  service(instance: string): ServiceProcess
  /** Ends the services, each with time to finish what is under way, and removes their data. */
  close(): Promise<void>
}

/** How long a service is given to end, in milliseconds. */
const STOP_MS = 3_000

/**
 * Starts accounts, two instances of products, the inventory and payments, each service with a new SQLite file.
 *
 * @throws when a service does not start; those that did are ended again
 */
export async function startShop(options: ShopOptions): Promise<Shop> {
  /** Between payments and the inventory. */
  const inventoryKey = randomBytes(24).toString('hex')
  const folder = await mkdtemp(join(tmpdir(), 'postern-shop-'))
  const services: ServiceProcess[] = []
  const kills = new Set<() => void>()
  const timers = new Set<NodeJS.Timeout>()
  const starting = new Set<Promise<unknown>>()
  let isClosing = false
  const { issuer, jwksUri } = options.keyServer

  // Also when the process is ended at once: no service and no file stays behind.
  function clearAway(): void {
    for (const kill of kills) kill()
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', clearAway)

  async function start(spec: InstanceSpec): Promise<ServiceProcess> {
    let kill = (): void => {}
    const database = join(folder, `${spec.service}.sqlite`)
    const env = { GATEWAY_ISSUER: issuer, GATEWAY_JWKS: jwksUri, ...spec.env }
    const started = startService({ ...spec, database, env }, (given) => {
      kill = given
      kills.add(given)
    })
    starting.add(started)
    try {
      const service = await started
      const at = services.findIndex(({ instance }) => instance === spec.instance)
      if (at < 0) services.push(service)
      else services[at] = service
      void service.ended.then(() => {
        kills.delete(kill)
        if (isClosing) return
        options.onEnded?.(service)
        startLater({ ...spec, port: service.port })
      })
      return service
    } catch (error) {
      kills.delete(kill)
      throw error
    } finally {
      starting.delete(started)
    }
  }

  function startLater(spec: InstanceSpec): void {
    if (options.restartMs === undefined || isClosing) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      start(spec).then(
        (service) => {
          if (!isClosing) options.onRestarted?.(service)
        },
        (error: unknown) => {
          if (isClosing) return
          console.error(error)
          startLater(spec)
        },
      )
    }, options.restartMs)
    timers.add(timer)
  }

  async function close(): Promise<void> {
    isClosing = true
    for (const timer of timers) clearTimeout(timer)
    await Promise.allSettled(starting)
    await Promise.all(services.map((service) => service.stop(STOP_MS)))
    process.off('exit', clearAway)
    clearAway()
  }

  const results = await Promise.allSettled([
    start({ service: 'accounts', instance: 'accounts', env: { CUSTOMER_PASSWORD: options.customerPassword } }),
    // One after the other: the first makes the file that both share.
    start({ service: 'products', instance: 'products-1' }).then(() =>
      start({ service: 'products', instance: 'products-2' }),
    ),
    start({ service: 'inventory', instance: 'inventory', env: { INVENTORY_KEY: inventoryKey } }).then(({ url }) =>
      start({
        service: 'payments',
        instance: 'payments',
        env: { INVENTORY_URL: url, INVENTORY_KEY: inventoryKey },
      }),
    ),
  ])
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await close()
    throw failed.reason
  }
  services.sort((a, b) => ORDER.indexOf(a.instance) - ORDER.indexOf(b.instance))

  return {
    services,
    targets: {
      accounts: targetsOf(services, 'accounts'),
      products: targetsOf(services, 'products'),
      inventory: targetsOf(services, 'inventory'),
      payments: targetsOf(services, 'payments'),
    },
    folder,
    service(instance) {
      const found = services.find((service) => service.instance === instance)
      if (found === undefined) throw new RangeError(`no service is called ${instance}`)
      return found
    },
    close,
  }
}

type InstanceSpec = Omit<ServiceSpec, 'database'>

const ORDER = ['accounts', 'products-1', 'products-2', 'inventory', 'payments']

function targetsOf(services: readonly ServiceProcess[], name: ServiceSpec['service']): ShopTargets['products'] {
  return services.filter(({ service }) => service === name).map(({ instance, url }) => ({ id: instance, url }))
}
