/** Starts the shop: its services in processes of their own, and the gateway in front of them in this one. */
import { createServer } from 'node:http'
import { createApp } from './gateway.ts'
import { listen } from './listen.ts'
import { portFrom, restartMsFrom, staffKeyFrom } from './settings.ts'
import { startShop } from './shop.ts'
import { onStopSignals } from './stop-signals.ts'
import { endedText, restartedText, underWayText, welcome } from './texts.ts'
import { watch } from './watch.ts'

const wishedPort = portFrom(process.env.PORT, 8080)
const restartMs = restartMsFrom(process.env.RESTART_MS)
const staffKey = staffKeyFrom(process.env.STAFF_KEY)
const drainWith = onStopSignals()
/** Stands out among the log's lines. */
const tell = (line: string): void => console.log(`>> ${line}`)

console.log('starting products (two instances), inventory and payments …')
const shop = await startShop({
  restartMs,
  onEnded: (service) => tell(endedText(service, restartMs)),
  onRestarted: (service) => tell(restartedText(service)),
})

const { app, gw } = createApp(shop.targets, { staffKey })
const { products, inventory, payments } = gw.upstreams
const unwatch = watch({ products, inventory, payments }, tell)
// Probes begin with the first request; here they begin now, for whoever kills a service before.
for (const upstream of [products, inventory, payments]) upstream.start()
const server = gw.attach(createServer(app))
const port = await listen(server, wishedPort)
if (port !== wishedPort && wishedPort !== 0) {
  console.log(`port ${wishedPort} is taken, so it is ${port}; PORT=3000 chooses another`)
}
console.log(welcome(`http://127.0.0.1:${port}`, shop.services, { restartMs, staffKey }))

drainWith(async () => {
  const underWay = underWayText(gw.upstreams)
  console.log(`\ndraining${underWay === '' ? '' : `; waiting for ${underWay}`} …`)
  unwatch()
  await gw.close()
  await shop.close()
  console.log('closed')
})
