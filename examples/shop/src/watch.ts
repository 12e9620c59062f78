import { type TargetChange, targetChanged } from '@postern/balancer'
import { type CircuitChange, circuitClosed, circuitHalfOpened, circuitOpened } from '@postern/circuit-breaker'

/** What is watched: the handles `gw.upstreams`, or some of them. */
export type Watched = Readonly<
  Record<string, { readonly targets: readonly { readonly id: string; readonly eligible: boolean }[] }>
>

/**
 * Tells what the gateway sees of its targets and circuits, one line an event. The channels are those of the whole process:
 * what they tell of other upstreams than those given is left out.
 *
 * @returns ends it
 */
export function watch(upstreams: Watched, tell: (line: string) => void): () => void {
  /** Why a target is out; empty when it is in use. */
  const faults = new Map<string, Set<string>>()

  function onTarget({ balancer, target, change }: TargetChange): void {
    const upstream = upstreams[balancer]
    if (upstream === undefined) return
    const id = `${balancer}/${target.id}`
    const known = faults.get(id) ?? new Set()
    faults.set(id, known)
    const wasOut = known.size > 0
    if (change in OUT) {
      known.add(change)
      if (!wasOut) tell(`${target.id} ${OUT[change]}: ${successor(upstream.targets, target.id)}`)
    } else if (change in BACK) {
      known.delete(BACK[change]!)
      if (wasOut && known.size === 0) tell(`${target.id} is back`)
    }
  }

  function onCircuit(say: (change: CircuitChange) => string): (change: CircuitChange) => void {
    return (change) => {
      if (change.circuitBreaker in upstreams) tell(`circuit of ${change.id} ${say(change)}`)
    }
  }
  const onOpened = onCircuit(({ openMs = 0 }) => `open for ${(openMs / 1_000).toFixed(1)} s: no request goes there`)
  const onHalfOpened = onCircuit(() => 'half-open: one request tries it')
  const onClosed = onCircuit(() => 'closed')

  targetChanged.subscribe(onTarget)
  circuitOpened.subscribe(onOpened)
  circuitHalfOpened.subscribe(onHalfOpened)
  circuitClosed.subscribe(onClosed)
  return () => {
    targetChanged.unsubscribe(onTarget)
    circuitOpened.unsubscribe(onOpened)
    circuitHalfOpened.unsubscribe(onHalfOpened)
    circuitClosed.unsubscribe(onClosed)
  }
}

const OUT: Readonly<Record<string, string>> = {
  unreachable: 'is unreachable',
  unhealthy: 'fails its probes',
  ejected: 'fails too often',
}

/** Which fault each ends. */
const BACK: Readonly<Record<string, string>> = { reachable: 'unreachable', healthy: 'unhealthy', returned: 'ejected' }

function successor(targets: Watched[string]['targets'], id: string): string {
  const left = targets.filter((other) => other.eligible && other.id !== id).map((other) => other.id)
  if (left.length === 0) return 'nobody takes over'
  return `${left.join(', ')} ${left.length === 1 ? 'takes' : 'take'} over`
}
