import { runService } from '../run.ts'
import { createApp } from './app.ts'
import { openInventoryStore } from './store.ts'

runService(({ instance, database }) => {
  const store = openInventoryStore(database)
  return { app: createApp(instance, store), onStopped: () => store.close() }
})
