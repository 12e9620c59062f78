/** Starts the shop: its services in processes of their own, and the gateway in front of them in this one. */
import { createServer } from 'node:http'
import { internalIssuer } from '@postern/auth'
import { createApp } from './gateway.ts'
import { serveKeys } from './key-server.ts'
import { keyTable } from './keys.ts'
import { listen } from './listen.ts'
import { keyFrom, passwordFrom, portFrom, restartMsFrom } from './settings.ts'
import { startShop } from './shop.ts'
import { onStopSignals } from './stop-signals.ts'
import { endedText, restartedText, underWayText, welcome } from './texts.ts'
import { watch } from './watch.ts'

const wishedPort = portFrom(process.env.PORT, 8080)
const restartMs = restartMsFrom(process.env.RESTART_MS)
const customerPassword = passwordFrom(process.env.CUSTOMER_PASSWORD)
const keys = {
  staff: keyFrom(process.env.STAFF_KEY, 'STAFF_KEY'),
  reseller: keyFrom(process.env.RESELLER_KEY, 'RESELLER_KEY'),
  fintech: keyFrom(process.env.FINTECH_KEY, 'FINTECH_KEY'),
}
const drainWith = onStopSignals()
/** Stands out among the log's lines. */
const tell = (line: string): void => console.log(`>> ${line}`)

console.log('starting accounts, products (two instances), inventory and payments …')
// A key of this process alone: a gateway of several processes gives each the same `keys`.
const issuer = internalIssuer({ issuer: 'https://gateway.shop.example' })
const keyServer = await serveKeys(issuer)
const shop = await startShop({
  keyServer,
  customerPassword,
  restartMs,
  onEnded: (service) => tell(endedText(service, restartMs)),
  onRestarted: (service) => tell(restartedText(service)),
})

const { app, gw } = createApp(shop.targets, { keys: keyTable(keys), issuer })
const { accounts, products, inventory, payments } = gw.upstreams
const unwatch = watch({ accounts, products, inventory, payments }, tell)
// Probes begin with the first request; here they begin now, for whoever kills a service before.
for (const upstream of [accounts, products, inventory, payments]) upstream.start()
const server = gw.attach(createServer(app))
const port = await listen(server, wishedPort)
if (port !== wishedPort && wishedPort !== 0) {
  console.log(`port ${wishedPort} is taken, so it is ${port}; PORT=3000 chooses another`)
}
console.log(welcome(`http://127.0.0.1:${port}`, shop.services, { restartMs, customerPassword, keys }))

drainWith(async () => {
  const underWay = underWayText(gw.upstreams)
  console.log(`\ndraining${underWay === '' ? '' : `; waiting for ${underWay}`} …`)
  unwatch()
  await gw.close()
  await shop.close()
  keyServer.close()
  console.log('closed')
})
