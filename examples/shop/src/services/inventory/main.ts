import { gatewayCallers } from '../caller.ts'
import { env, runService } from '../run.ts'
import { createApp } from './app.ts'
import { withPayments } from './callers.ts'
import { openInventoryStore } from './store.ts'

runService(({ instance, database }) => {
  const store = openInventoryStore(database)
  const verify = withPayments(gatewayCallers('inventory'), env('INVENTORY_KEY'))
  return { app: createApp(instance, store, verify), onStopped: () => store.close() }
})
