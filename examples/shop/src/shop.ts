import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ShopTargets } from './gateway.ts'
import { type ServiceProcess, type ServiceSpec, startService } from './service-process.ts'

/** The services of the shop, each in a process of its own. */
export interface Shop {
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
 * Starts two instances of products, the inventory and payments, each with a new SQLite file.
 *
 * @param onEnded called when a service ends that was not asked to
 * @throws when a service does not start; those that did are ended again
 */
export async function startShop(onEnded: (service: ServiceProcess, shop: Shop) => void = () => {}): Promise<Shop> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-shop-'))
  const services: ServiceProcess[] = []
  const kills: (() => void)[] = []
  let isClosing = false

  // Also when the process is ended at once: no service and no file stays behind.
  function clearAway(): void {
    for (const kill of kills) kill()
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', clearAway)

  async function start(
    service: ServiceSpec['service'],
    instance: string,
    env: Record<string, string> = {},
  ): Promise<ServiceProcess> {
    const database = join(folder, `${instance}.sqlite`)
    const started = await startService({ service, instance, env, database }, (kill) => kills.push(kill))
    services.push(started)
    return started
  }

  async function close(): Promise<void> {
    isClosing = true
    await Promise.all(services.map((service) => service.stop(STOP_MS)))
    process.off('exit', clearAway)
    clearAway()
  }

  const results = await Promise.allSettled([
    start('products', 'products-1'),
    start('products', 'products-2'),
    start('inventory', 'inventory').then((inventory) =>
      start('payments', 'payments', { INVENTORY_URL: inventory.url }),
    ),
  ])
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await close()
    throw failed.reason
  }
  services.sort((a, b) => ORDER.indexOf(a.instance) - ORDER.indexOf(b.instance))

  const shop: Shop = {
    services,
    targets: {
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
  for (const service of services) {
    void service.ended.then(() => {
      if (!isClosing) onEnded(service, shop)
    })
  }
  return shop
}

const ORDER = ['products-1', 'products-2', 'inventory', 'payments']

function targetsOf(services: readonly ServiceProcess[], name: ServiceSpec['service']): ShopTargets['products'] {
  return services.filter(({ service }) => service === name).map(({ instance, url }) => ({ id: instance, url }))
}
