/** Starts the shop: its services in processes of their own, and the gateway in front of them in this one. */
import { createServer } from 'node:http'
import { createApp } from './gateway.ts'
import { listen, portFrom } from './listen.ts'
import { startShop } from './shop.ts'
import { onStopSignals } from './stop-signals.ts'
import { endedText, underWayText, welcome } from './texts.ts'

const wishedPort = portFrom(process.env.PORT, 8080)
const drainWith = onStopSignals()

console.log('starting products (two instances), inventory and payments …')
const shop = await startShop((service, { services }) => console.log(`\n${endedText(service, services)}\n`))

const { app, gw } = createApp(shop.targets)
const server = gw.attach(createServer(app))
const port = await listen(server, wishedPort)
if (port !== wishedPort && wishedPort !== 0) {
  console.log(`port ${wishedPort} is taken, so it is ${port}; PORT=3000 chooses another`)
}
console.log(welcome(`http://127.0.0.1:${port}`, shop.services))

drainWith(async () => {
  const underWay = underWayText(gw.upstreams)
  console.log(`\ndraining${underWay === '' ? '' : `; waiting for ${underWay}`} …`)
  await gw.close()
  await shop.close()
  console.log('closed')
})
