import { type GatewayConfig, gateway } from '@postern/gateway'
import express from 'express'
import { expectAnswer, served, withUpstream } from './support.js'

await withUpstream(async (upstream) => {
  const config: GatewayConfig<'products'> = {
    upstreams: { products: { targets: [upstream] } },
    routes: [{ prefix: '/products', upstream: 'products' }],
    logger: false,
  }
  const gw = gateway(config)
  const app = express()
  app.use(gw)
  app.get('/mine', (_req, res) => {
    res.send('the app goes on')
  })
  await served(
    app,
    async (url) => {
      await expectAnswer(`${url}/products/42`, 200, 'upstream saw')
      await expectAnswer(`${url}/mine`, 200, 'the app goes on')
      await expectAnswer(`${url}/nobody`, 404)
    },
    (server) => gw.attach(server, app),
  )
  await gw.close()
})
