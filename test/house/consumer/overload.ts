import { type BulkheadHandler, bulkhead, type LoadShedderHandler, loadShedder } from '@postern/overload'
import express from 'express'
import { expectAnswer, served } from './support.js'

const shedder: LoadShedderHandler = loadShedder({ maxInFlight: 100, classify: () => 'normal' })
const guard: BulkheadHandler = bulkhead({ maxInFlight: 1, maxQueued: 0, name: 'payments' })
const adaptive: BulkheadHandler = bulkhead({ adaptive: { minLimit: 3, initialLimit: 10 } })
const app = express()
app.use('/payments', shedder.as('critical'), guard)
app.use(shedder, adaptive, (_req, res) => {
  res.send(`in flight: ${guard.inFlight} ${adaptive.inFlight} ${shedder.inFlight}`)
})
await served(app, async (url) => {
  await expectAnswer(`${url}/payments`, 200, 'in flight: 1 1 1')
  await expectAnswer(`${url}/products`, 200, 'in flight: 0 1 1')
})
if (shedder.stats.critical.admitted !== 1) throw new Error('the payment was not counted as critical')
if (adaptive.limit !== 10) throw new Error(`a limit of ${adaptive.limit}`)
guard.close()
adaptive.close()
shedder.close()
