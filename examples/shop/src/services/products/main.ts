import { gatewayCallers } from '../caller.ts'
import { runService } from '../run.ts'
import { createApp } from './app.ts'
import { openProductStore } from './store.ts'

runService(({ instance, database }) => {
  const store = openProductStore(database)
  return { app: createApp(instance, store, gatewayCallers('products')), onStopped: () => store.close() }
})
