import { env, runService } from '../run.ts'
import { createApp } from './app.ts'
import { openAccountStore } from './store.ts'
import { createTokens } from './tokens.ts'

runService(({ instance, database }) => {
  const store = openAccountStore(database, env('CUSTOMER_PASSWORD'))
  return { app: createApp(instance, store, createTokens(store.key)), onStopped: () => store.close() }
})
