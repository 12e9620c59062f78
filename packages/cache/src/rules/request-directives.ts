import { deltaSeconds, MAX_DELTA_S, smaller } from './delta-seconds.ts'
import { readDirectives } from './directive-list.ts'

/** What a request's Cache-Control field says. */
export interface RequestDirectives {
  readonly noCache: boolean
  readonly noStore: boolean
  readonly onlyIfCached: boolean
  /** Greatest age that the client takes, in seconds, 0 to 2^31. */
  readonly maxAgeS: number | undefined
  /** For how long at least it must stay fresh, in seconds. */
  readonly minFreshS: number | undefined
  /** How long it may have been stale, in seconds; Infinity: any time. */
  readonly maxStaleS: number | undefined
  /** How long it may have been stale when the origin fails, in seconds (RFC 5861 §4). */
  readonly staleIfErrorS?: number | undefined
}

type Draft = { -readonly [Name in keyof RequestDirectives]: RequestDirectives[Name] }

/**
 * Reads the directives of a request, with `Pragma: no-cache` where there is no Cache-Control field (RFC 9111 §5.4).
 * Malformed ones are taken at their strictest; of two values that differ, the stricter one holds.
 *
 * @returns undefined when there is nothing that a cache has to know
 * @see RFC 9111 §5.2.1
 */
export function parseRequestDirectives(
  cacheControl: string | undefined,
  pragma: string | undefined,
): RequestDirectives | undefined {
  if (cacheControl === undefined && pragma === undefined) return undefined
  const draft: Draft = {
    noCache: false,
    noStore: false,
    onlyIfCached: false,
    maxAgeS: undefined,
    minFreshS: undefined,
    maxStaleS: undefined,
    staleIfErrorS: undefined,
  }
  if (cacheControl !== undefined) readDirectives(cacheControl, takeRequestDirective, draft)
  else readDirectives(pragma!, takePragmaDirective, draft)
  return saysSomething(draft) ? draft : undefined
}

function saysSomething(directives: RequestDirectives): boolean {
  const { maxAgeS, minFreshS, maxStaleS, staleIfErrorS } = directives
  if (directives.noCache || directives.noStore || directives.onlyIfCached) return true
  return (maxAgeS ?? minFreshS ?? maxStaleS ?? staleIfErrorS) !== undefined
}

function takeRequestDirective(draft: Draft, name: string, argument: string | undefined, malformed: boolean): void {
  switch (name) {
    case 'no-cache':
      draft.noCache = true
      break
    case 'no-store':
      draft.noStore = true
      break
    case 'only-if-cached':
      draft.onlyIfCached = true
      break
    case 'max-age':
      draft.maxAgeS = smaller(draft.maxAgeS, deltaSeconds(argument) ?? 0)
      break
    case 'min-fresh':
      draft.minFreshS = Math.max(draft.minFreshS ?? 0, deltaSeconds(argument) ?? MAX_DELTA_S)
      break
    case 'max-stale':
      draft.maxStaleS =
        argument === undefined && !malformed
          ? (draft.maxStaleS ?? Number.POSITIVE_INFINITY)
          : smaller(draft.maxStaleS, deltaSeconds(argument) ?? 0)
      break
    case 'stale-if-error':
      draft.staleIfErrorS = smaller(draft.staleIfErrorS, deltaSeconds(argument) ?? 0)
      break
  }
}

function takePragmaDirective(draft: Draft, name: string): void {
  if (name === 'no-cache') draft.noCache = true
}
