import { gatewayCallers } from '../caller.ts'
import { env, runService } from '../run.ts'
import { createApp } from './app.ts'
import { createCheckout } from './checkout.ts'
import { createOrderEvents } from './events.ts'
import { inventoryAt } from './inventory.ts'
import { openPaymentStore } from './store.ts'

runService(({ instance, database }) => {
  const store = openPaymentStore(database)
  const verify = gatewayCallers('payments')
  const events = createOrderEvents(verify)
  const checkout = createCheckout(store, inventoryAt(env('INVENTORY_URL'), env('INVENTORY_KEY')), events.broadcast)
  return {
    app: createApp(instance, store, checkout, verify),
    onServer: events.attach,
    onStopping: events.close,
    onStopped: () => store.close(),
  }
})
