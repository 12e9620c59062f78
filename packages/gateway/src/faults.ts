import { ConfigError, type ConfigFault, nearest } from '@postern/contracts'

/**
 * Runs one part's own checks and puts the part's place in the configuration in front of each fault.
 *
 * @param mend changes a fault, or drops it
 * @returns what was built; undefined when there were faults
 */
export function gather<T>(
  faults: ConfigFault[],
  prefix: string,
  build: () => T,
  mend: (fault: ConfigFault) => ConfigFault | undefined = (fault) => fault,
): T | undefined {
  try {
    return build()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const each of error.faults) {
      const fault = mend(each)
      if (fault === undefined) continue
      const path = prefix === '' || fault.path === '' ? prefix + fault.path : `${prefix}.${fault.path}`
      faults.push({ ...fault, path })
    }
    return undefined
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Notes every member that is not among the known keys, with the nearest of them. */
export function refuseUnknownKeys(
  given: object,
  known: readonly string[],
  prefix: string,
  faults: ConfigFault[],
): void {
  for (const [key, received] of Object.entries(given)) {
    if (known.includes(key)) continue
    const near = nearest(key, known)
    const cure = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`
    faults.push({ path: prefix === '' ? key : `${prefix}.${key}`, message: 'unknown option', received, cure })
  }
}
