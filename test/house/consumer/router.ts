import { type Route, type RouterHandler, router } from '@postern/router'
import express from 'express'
import { expectAnswer, served } from './support.js'

const routes: readonly Route[] = [
  { prefix: '/health', respond: { status: 200, body: { up: true } } },
  { path: '/products/:id', handlers: (req, res) => void res.end(`product ${req.gateway?.route?.params.id}`) },
]
const table: RouterHandler = router(routes)
const app = express()
app.use(table)
await served(app, async (url) => {
  await expectAnswer(`${url}/health`, 200, 'up')
  await expectAnswer(`${url}/products/42`, 200, 'product 42')
  await expectAnswer(`${url}/elsewhere`, 404)
})
