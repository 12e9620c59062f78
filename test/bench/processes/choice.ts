/** Leases and settles in a loop, over a balancer as it is used, and says what one lease costs. */
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type BalancerHandler, type BalancerOptions, balancer } from '@postern/balancer'
import { exchangeOf, isRefusal, type Selection } from '@postern/contracts'
import type { ChoiceOrder } from '../lib/protocol.ts'

const WARMUP = 100_000
const CHOICES = 300_000
const OUTCOME = { status: 200, headersMs: 5, totalMs: 6 }
const KEYS = Array.from({ length: 64 }, (_, i) => `session-${i}`)

const balancers = new Map<string, BalancerHandler>()

function balancerOf({ strategy, targets }: ChoiceOrder): BalancerHandler {
  const name = `${strategy} ${targets}`
  let made = balancers.get(name)
  if (made === undefined) {
    made = balancer({
      targets: Array.from({ length: targets }, (_, i) => `http://10.0.${i >> 8}.${i & 255}:3000`),
      strategy: (strategy === 'hash' ? { name: 'hash', key: { header: 'x-session' } } : strategy) as NonNullable<
        BalancerOptions['strategy']
      >,
    })
    balancers.set(name, made)
  }
  return made
}

/** The selections of some requests, each with a key of its own. */
function selectionsOf(handler: BalancerHandler): Selection[] {
  return KEYS.map((key) => {
    const request = { headers: { 'x-session': key }, rawHeaders: ['x-session', key], socket: {} }
    const req = request as unknown as IncomingMessage
    const res = new EventEmitter() as unknown as ServerResponse
    handler(req, res, () => {})
    return exchangeOf(req, res).selection!
  })
}

function run(selections: readonly Selection[], count: number): void {
  for (let i = 0; i < count; i++) {
    const lease = selections[i % selections.length]!.acquire()
    if (isRefusal(lease)) throw new Error(lease.reason)
    lease.settle(OUTCOME)
  }
}

process.on('message', (order: ChoiceOrder) => {
  const selections = selectionsOf(balancerOf(order))
  // A scan of a thousand takes a thousand times as long.
  const share = order.targets > 3 && ['least-requests', 'hash', 'first'].includes(order.strategy) ? 0.02 : 1
  run(selections, WARMUP * share)
  const before = process.cpuUsage()
  run(selections, CHOICES * share)
  const { user, system } = process.cpuUsage(before)
  process.send?.({ nanos: ((user + system) * 1_000) / (CHOICES * share) })
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })
