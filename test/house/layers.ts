/**
 * The house, floor by floor (docs/architecture.md). A package may import from the floors below its own; what it may
 * import beside that stands here.
 */
export const LAYERS: Readonly<Record<string, number>> = {
  contracts: 0,
  proxy: 1,
  router: 1,
  balancer: 1,
  'circuit-breaker': 1,
  cache: 1,
  'rate-limit': 1,
  overload: 1,
  auth: 1,
  logger: 1,
  metrics: 1,
  discovery: 1,
  redis: 2,
  testing: 2,
  gateway: 3,
  dashboard: 3,
  cli: 3,
  create: 3,
}

/** Adapters know the siblings' interfaces and nothing of their code. */
const TYPES_ONLY_FROM = { layer: 2, below: 1 }

/** Edges within the top floor: the command line starts a gateway and shows a dashboard. */
const TOP_FLOOR: Readonly<Record<string, readonly string[]>> = { cli: ['gateway', 'dashboard'] }

/** Why one package may not import another, or undefined when it may. */
export function wrongEdge(from: string, to: string, typeOnly: boolean): string | undefined {
  const [upper, lower] = [LAYERS[from], LAYERS[to]]
  if (upper === undefined)
    return `${from} has no floor yet: give it one in test/house/layers.ts and docs/architecture.md`
  if (lower === undefined) return `${to} has no floor yet: give it one in test/house/layers.ts and docs/architecture.md`
  if (lower > upper) return `${from} (floor ${upper}) must not know ${to} (floor ${lower}) above it`
  if (lower === upper) {
    if (TOP_FLOOR[from]?.includes(to) === true) return undefined
    return `${from} and ${to} are siblings: let them meet in @postern/contracts`
  }
  if (upper === TYPES_ONLY_FROM.layer && lower === TYPES_ONLY_FROM.below && !typeOnly) {
    return `${from} is an adapter: it may import only types of ${to} (write "import type")`
  }
  return undefined
}
