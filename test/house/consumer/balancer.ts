import { type BalancerHandler, balancer } from '@postern/balancer'
import { exchangeOf, isRefusal } from '@postern/contracts'
import express from 'express'
import { expectAnswer, served } from './support.js'

const pool: BalancerHandler = balancer({
  targets: ['http://127.0.0.1:3001', { url: 'http://127.0.0.1:3002', weight: 2, tags: { zone: 'b' } }],
  strategy: 'round-robin',
})
const app = express()
app.use(pool, (req, res) => {
  const lease = exchangeOf(req, res).selection?.acquire()
  if (lease === undefined || isRefusal(lease)) throw new Error('no target was leased')
  lease.settle({ status: 200, headersMs: 1, totalMs: 1 })
  res.send(lease.target.id)
})
await served(app, (url) => expectAnswer(url, 200, 'http://127.0.0.1:300'))
if (pool.targets.length !== 2) throw new Error(`${pool.targets.length} targets`)
