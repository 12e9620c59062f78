import { type CircuitBreakerHandler, type CircuitState, circuitBreaker, circuitOpened } from '@postern/circuit-breaker'
import { GatewayError } from '@postern/contracts'
import express from 'express'
import { expectAnswer, served } from './support.js'

const breaker: CircuitBreakerHandler = circuitBreaker({
  consecutiveFailures: 2,
  openMs: 60_000,
  fallback: (_req, res) => void res.end('yesterday’s rates'),
})
let opened = 0
circuitOpened.subscribe(() => {
  opened++
})
const app = express()
app.use('/rates', breaker, (_req, res) => {
  res.status(500).send('broken')
})
await served(app, async (url) => {
  for (let i = 0; i < 2; i++) await expectAnswer(`${url}/rates`, 500, 'broken')
  await expectAnswer(`${url}/rates`, 200, 'yesterday’s rates')
})
const [circuit]: readonly CircuitState[] = breaker.circuits
if (circuit?.state !== 'open' || opened !== 1) throw new Error(`the circuit is ${circuit?.state}, told ${opened} times`)

// The types of the function are kept.
const twice: (this: unknown, n: number) => Promise<number> = breaker.wrap((n: number) => 2 * n, { name: 'twice' })
if ((await twice(21)) !== 42) throw new Error('the wrapped function went wrong')
breaker.isolate('twice')
const refused: unknown = await twice(21).catch((error: unknown) => error)
if (!(refused instanceof GatewayError) || refused.code !== 'circuit_open') throw new Error(`not refused: ${refused}`)
breaker.close()
