import { harden, type ProxyHandler, type ProxyOptions, proxy } from '@postern/proxy'
import express from 'express'
import { expectAnswer, served, withUpstream } from './support.js'

await withUpstream(async (upstream) => {
  const options: ProxyOptions = { target: upstream, timeouts: { headersMs: 5_000 } }
  const one: ProxyHandler = proxy(upstream)
  const two = proxy(options)
  const app = express()
  app.use('/one', one)
  app.use('/two', two)
  await served(
    app,
    async (url) => {
      await expectAnswer(`${url}/one/a`, 200, 'upstream saw')
      await expectAnswer(`${url}/two/b?c=d`, 200, 'c=d')
      await expectAnswer(`${url}/three`, 404)
    },
    (server) => harden(server),
  )
  await Promise.all([one.close(), two.close()])
})
