import type { PlainKeys } from './keys.ts'
import type { ServiceProcess } from './service-process.ts'

/** As `--json`, which curl has since 7.82, says it. */
const JSON_BODY = "-H 'Content-Type: application/json' -d"

/** What the welcome tells of the settings. */
export interface WelcomeSettings {
  /** Undefined: nobody starts a service again. */
  readonly restartMs: number | undefined
  readonly customerPassword: string
  readonly keys: PlainKeys
}

/** What is printed once everything runs. */
export function welcome(
  gateway: string,
  services: readonly ServiceProcess[],
  { restartMs, customerPassword, keys }: WelcomeSettings,
): string {
  const rows = services.map(
    ({ instance, url, pid }) => `  ${instance.padEnd(12)} ${url.padEnd(24)} pid ${pid}  ${PATHS[instance] ?? ''}`,
  )
  const pidOf = (wanted: string): number => services.find(({ instance }) => instance === wanted)!.pid
  const login = (email: string): string => `'${JSON.stringify({ email, password: customerPassword })}'`
  return `
  the shop      ${gateway}

${rows.map((row) => row.trimEnd()).join('\n')}

Try it in another terminal. The catalogue is open to everybody:

  curl '${gateway}/products?category=desk'
  curl -i ${gateway}/products/mug-blue

A customer signs in for a quarter of an hour, then pays. The last line is refused: payments want to know who is calling.

  TOKEN=$(curl -s ${gateway}/accounts/login ${JSON_BODY} ${login('ada@example.com')} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl -i ${gateway}/payments -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: order-1' ${JSON_BODY} '{"sku":"pen-brass","card":"4242 4242 4242 4242"}'
  curl -i ${gateway}/payments -H 'Idempotency-Key: order-1' ${JSON_BODY} '{"sku":"pen-brass","card":"4242 4242 4242 4242"}'

The first of them again: the same payment, made once. ben@example.com and sam@example.com, who is staff, have the same password.

Partners are programs, and show keys: a reseller sees the whole stock and sets some aside, a fintech pays.

  RESELLER_KEY=${keys.reseller}
  FINTECH_KEY=${keys.fintech}
  curl ${gateway}/inventory/stock -H "X-API-Key: $RESELLER_KEY"
  curl ${gateway}/inventory/reservations -H "X-API-Key: $RESELLER_KEY" ${JSON_BODY} '{"sku":"mug-blue","quantity":2}'
  curl -i ${gateway}/inventory/stock -H "X-API-Key: $FINTECH_KEY"

The catalogue is cached: the second answer says hit. A new price is seen at once, in lists as well. Only staff may set one:

  STAFF_KEY=${keys.staff}
  curl -i '${gateway}/products?search=mug'
  curl -X PUT ${gateway}/products/mug-blue/price -H "X-API-Key: $STAFF_KEY" ${JSON_BODY} '{"priceCents":990}'
  curl -i '${gateway}/products?search=mug'

What becomes of Ada's orders, then pay with another key:

  npx --yes wscat -s bearer -s "$TOKEN" -c ${gateway.replace('http', 'ws')}/events

Kill a service and watch: ask on and on in the other terminal, and kill from a third one. ${restartText(restartMs)}
Products are asked with no-cache, or most answers would come from the gateway's store.

  while sleep 0.2; do curl -s -o /dev/null -w '%{http_code}\\n' -H 'Cache-Control: no-cache' ${gateway}/products/mug-blue; done
  kill -9 ${pidOf('products-2')}
  while sleep 0.5; do curl -sw ' %{http_code}\\n' ${gateway}/payments -H "Authorization: Bearer $TOKEN" -H 'Idempotency-Key: order-2' ${JSON_BODY} '{"sku":"note-dots","card":"4242 4242 4242 4242"}'; done
  kill -9 ${pidOf('payments')}
  kill -9 ${pidOf('accounts')}

Without accounts nobody signs in; who is signed in already pays on. Ctrl-C drains and ends; once more ends at once. From here
on: one line a request; >> is what becomes of services and circuits.
`
}

const PATHS: Readonly<Record<string, string>> = {
  accounts: '/accounts/login',
  'products-1': '/products /categories',
  'products-2': 'the same, in turn',
  inventory: '/inventory/stock /inventory/reservations',
  payments: '/payments, WebSocket /events',
}

/**
 * What is said when a service ends by itself.
 *
 * @param restartMs undefined: nobody starts it again
 */
export function endedText(service: ServiceProcess, restartMs: number | undefined): string {
  const { code, signal } = service.end!
  return `${service.instance} ended (${signal ?? `exit code ${code}`}). ${restartText(restartMs)}`
}

function restartText(restartMs: number | undefined): string {
  return restartMs === undefined ? 'Nobody starts it again.' : `It is started again after ${restartMs / 1_000} s.`
}

/** What is said when it listens again. */
export function restartedText({ instance, pid }: ServiceProcess): string {
  return `${instance} runs again, pid ${pid}`
}

/** What a drain waits for: `payments 2, products 1`. */
export function underWayText(
  upstreams: Readonly<Record<string, { targets: readonly { inFlight: number }[] }>>,
): string {
  return Object.entries(upstreams)
    .map(([name, { targets }]) => ({ name, count: targets.reduce((sum, target) => sum + target.inFlight, 0) }))
    .filter(({ count }) => count > 0)
    .map(({ name, count }) => `${name} ${count}`)
    .join(', ')
}
