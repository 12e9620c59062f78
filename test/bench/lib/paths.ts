/** The path that every gateway is asked for, unless the scenario is about paths. */
export const ONE_PATH = '/products/1042?view=full'

/** The ten routes of the composed gateways; `ONE_PATH` falls under the first. */
export const TEN_PREFIXES: readonly string[] = [
  '/products',
  '/inventory',
  '/payments',
  '/orders',
  '/customers',
  '/carts',
  '/reviews',
  '/search',
  '/shipping',
  '/admin',
]

/** Prefix of route number `index`: two segments, a hundred services to a team, equally long for every number. */
export function routePrefix(index: number): string {
  return `/team-${pad(Math.floor(index / 100))}/service-${pad(index)}`
}

/** Prime to every number of routes in use, so that stepping by it visits each route once. */
const STEP = 7_919

/** One path under each of the first `count` routes, out of the table's order. */
export function pathsUnder(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${routePrefix((index * STEP) % count)}/items/42`)
}

/** So many resources beside each other, which are asked for in turn. */
export function pathsBeside(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `/products/${pad(index)}?view=full`)
}

function pad(number: number): string {
  return String(number).padStart(5, '0')
}
