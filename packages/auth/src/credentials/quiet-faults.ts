import { type ConfigFault, faultsOf, type SchemaIssue } from '@postern/contracts'

type KnownKeys = (path: readonly (string | number)[]) => readonly string[]

/**
 * Like `faultsOf()`, for options in which a secret may stand where none is expected, say a key in the place of its hash, or
 * a password under a mistyped name: of what was given, only numbers and booleans are said back.
 *
 * @param secrets names of options below which not even these are
 */
export function quietFaultsOf(
  issues: readonly SchemaIssue[],
  knownKeys: KnownKeys,
  secrets: readonly string[],
): ConfigFault[] {
  return faultsOf(issues, knownKeys).map((fault) => {
    const { received } = fault
    const isPlain = received === undefined || typeof received === 'number' || typeof received === 'boolean'
    return isPlain && !secrets.includes(fault.path.match(/^[^.[]*/)![0]) ? fault : silent(fault)
  })
}

/** Like `faultsOf()`, and says nothing back of what was given. */
export function silentFaultsOf(issues: readonly SchemaIssue[], knownKeys: KnownKeys = () => []): ConfigFault[] {
  return faultsOf(issues, knownKeys).map(silent)
}

function silent({ received: _, ...fault }: ConfigFault): ConfigFault {
  return fault
}
