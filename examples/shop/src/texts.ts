import type { ServiceProcess } from './service-process.ts'

/** As `--json`, which curl has since 7.82, says it. */
const JSON_BODY = "-H 'Content-Type: application/json' -d"

/** What is printed once everything runs. */
export function welcome(gateway: string, services: readonly ServiceProcess[]): string {
  const rows = services.map(
    ({ instance, url, pid }) => `  ${instance.padEnd(12)} ${url.padEnd(24)} pid ${pid}  ${PATHS[instance] ?? ''}`,
  )
  return `
  the shop      ${gateway}

${rows.map((row) => row.trimEnd()).join('\n')}

Try it in another terminal:

  curl '${gateway}/products?category=desk'
  curl -i ${gateway}/products/mug-blue
  curl ${gateway}/inventory/stock/mug-blue
  curl ${gateway}/inventory/reservations ${JSON_BODY} '{"sku":"mug-blue","quantity":2}'
  curl -i ${gateway}/payments -H 'Idempotency-Key: order-1' ${JSON_BODY} '{"sku":"pen-brass","card":"4242 4242 4242 4242"}'
  # the same again: the same payment, made once

Order events, then pay with another key:

  npx --yes wscat -c ${gateway.replace('http', 'ws')}/events

Ctrl-C drains and ends; once more ends at once. From here on: one line a request.
`
}

const PATHS: Readonly<Record<string, string>> = {
  'products-1': '/products /categories',
  'products-2': 'the same, in turn',
  inventory: '/inventory/stock /inventory/reservations',
  payments: '/payments, WebSocket /events',
}

/** What is said when a service ends by itself; nobody starts it again. */
export function endedText(service: ServiceProcess, services: readonly ServiceProcess[]): string {
  const { code, signal } = service.end!
  const how = `${service.instance} ended (${signal ?? `exit code ${code}`})`
  const left = services.filter((other) => other.service === service.service && other.end === undefined)
  if (left.length === 0) return `${how}; nobody is left for ${service.service}, its requests are answered 502`
  const names = left.map((other) => other.instance).join(', ')
  return `${how}; the gateway goes on with ${names}, and answers 502 where it still tries ${service.instance}`
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
