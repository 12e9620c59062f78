/** The load generator as a process of its own; see lib/open-loop.ts. */
import { runLoad } from '../lib/open-loop.ts'
import type { LoadOrder } from '../lib/protocol.ts'

process.on('message', (order: LoadOrder) => {
  runLoad(order).then(
    (records) => process.send?.({ records }),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
process.send?.({ ready: true })
