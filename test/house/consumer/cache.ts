import { type CacheHandler, type CacheStore, cache, cachePurged, memoryStore } from '@postern/cache'
import { cacheStoreConformance } from '@postern/cache/conformance'
import express from 'express'
import { expectAnswer, served } from './support.js'

const store: CacheStore = memoryStore({ maxBytes: 1_048_576 })
const products: CacheHandler = cache({
  store,
  tags: (req) => [`path:${req.url}`],
  partition: (req) => req.gateway?.identity?.subject,
})
let purged = 0
cachePurged.subscribe(({ responses }) => {
  purged += responses
})
let asked = 0
const app = express()
app.use(
  '/products',
  products.around((_req, res) => {
    asked++
    res.setHeader('Cache-Control', 'max-age=60')
    res.end(`asked ${asked}`)
  }),
)
await served(app, async (url) => {
  await expectAnswer(`${url}/products`, 200, 'asked 1')
  await expectAnswer(`${url}/products`, 200, 'asked 1')
  const { hits, responses } = products.stats
  if (hits !== 1 || responses !== 1) throw new Error(`${hits} hits, ${responses} responses`)
  if ((await products.purge(`${url}/products`)) !== 1 || purged !== 1) throw new Error('not purged')
  await expectAnswer(`${url}/products`, 200, 'asked 2')
  const answer = await fetch(`${url}/products`)
  const status = answer.headers.get('cache-status')
  if (status === null || !status.startsWith('Postern; hit; ttl=')) throw new Error(`Cache-Status: ${status}`)
})
await products.close()

// The suite for stores comes along, and needs no test framework.
for (const { run } of cacheStoreConformance(() => memoryStore())) await run()
