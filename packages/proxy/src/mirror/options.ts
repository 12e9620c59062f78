import {
  ConfigError,
  type ConfigFault,
  createTarget,
  type Exchange,
  type Failure,
  type HeaderEdit,
  type QueryEdit,
  type Target,
  type TargetOptions,
} from '@postern/contracts'
import * as v from 'valibot'
import { callable, headerName, headerRecord, MAX_TIMER_MS, share, targetInput, whole } from '../schema-parts.ts'

/** A copy that its mirror did not answer. */
export interface MirrorFailure {
  /** The exchange that was copied; it may be over already. */
  readonly exchange: Exchange
  readonly target: Target
  readonly failure: Failure
}

/** Sends copies of requests to a second target, whose answers nobody gets. */
export interface MirrorOptions {
  /** Where the copies go: a URL or {@link TargetOptions}. */
  readonly target: string | URL | TargetOptions
  /** Share of the requests that are copied, 0 to 1. @default 1 */
  readonly share?: number
  /**
   * Methods that are copied, upper case. With any that is not safe (RFC 9110 §9.2.1) the mirror executes the request
   * as well: with `POST`, an order is placed twice unless the mirror works on data of its own. And what bodies hold,
   * passwords among it, goes there too. @default ['GET', 'HEAD', 'OPTIONS']
   */
  readonly methods?: readonly string[]
  /**
   * Largest request body that is copied, in bytes, 0 to 2^30; a request with a larger one has no copy. Bodies are held
   * in memory, at most `maxInFlight` of them. @default 65_536
   */
  readonly maxBodyBytes?: number
  /**
   * Most copies at a time, 1 to 10,000, those included whose body is still coming from the client; beyond them requests
   * have no copy. So many connections there are at most. @default 64
   */
  readonly maxInFlight?: number
  /** Longest time for a whole copy, from connecting to the end of its answer, in milliseconds, 1 to 2^31-1. @default 5_000 */
  readonly timeoutMs?: number
  /**
   * `'remove'` takes `Authorization`, `Cookie`, `X-Api-Key` and their like, and the query parameters `access_token` and
   * `api_key`, out of the copy. `'pass'` leaves them in; the risk: whoever runs the mirror, or reads its logs, can then
   * act as your users. @default 'remove'
   */
  readonly credentials?: 'remove' | 'pass'
  /** Headers to set on the copy, in place of the client's. `X-Postern-Mirror: 1`, which no client can forge, is always set. */
  readonly headers?: Readonly<Record<string, string>>
  /** Further headers to take out of the copy: keys and identities under names of your own. */
  readonly removeHeaders?: readonly string[]
  /** Told of every copy that failed; what it throws is contained. @default nobody: see `stats` and the channels */
  readonly onError?: (failure: MirrorFailure) => void
  /** Source of chance, uniform in [0, 1); for tests. @default Math.random */
  readonly random?: () => number
}

/** Options of a mirror with every default filled in. Frozen. */
export interface ResolvedMirrorOptions {
  readonly target: Target
  readonly share: number
  readonly methods: ReadonlySet<string>
  readonly maxBodyBytes: number
  readonly maxInFlight: number
  readonly timeoutMs: number
  /** What makes the headers of the copy out of those of the request. */
  readonly headerEdits: readonly HeaderEdit[]
  readonly queryEdits: readonly QueryEdit[]
  readonly onError: ((failure: MirrorFailure) => void) | undefined
  readonly random: () => number
}

/** Tells a copy from the request itself. Names like it are dropped from what clients send, whatever the options. */
export const MIRROR_HEADER = 'x-postern-mirror'

/** Headers that let whoever reads them act as the client. */
const CREDENTIAL_HEADERS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'api-key',
  'x-auth-token',
  'x-access-token',
]
/** RFC 6750 §2.3, and the usual name of a key. */
const CREDENTIAL_PARAMETERS = ['access_token', 'api_key']

const METHOD = /^[A-Z][A-Z-]*$/
const method = v.pipe(
  v.string('expected a method'),
  v.regex(METHOD, 'expected a method in upper case'),
  v.check((name) => name !== 'CONNECT' && name !== 'TRACE', 'this method is not copied'),
)

/** The option `mirror` of `proxy()`. The target's own rules are checked by {@link resolveMirror}. */
export const mirrorSchema = v.optional(
  v.strictObject(
    {
      target: targetInput,
      share: share(),
      methods: v.optional(v.array(method, 'expected a list of methods')),
      maxBodyBytes: whole(0, 2 ** 30),
      maxInFlight: whole(1, 10_000),
      timeoutMs: whole(1, MAX_TIMER_MS),
      credentials: v.optional(v.picklist(['remove', 'pass'], 'expected "remove" or "pass"')),
      headers: headerRecord,
      removeHeaders: v.optional(v.array(headerName, 'expected a list of header names')),
      onError: callable<MirrorOptions['onError']>('a function (failure) => void'),
      random: callable<MirrorOptions['random']>('a function () => number'),
    },
    'expected { target, … }',
  ),
)

/**
 * Fills in the defaults of options that {@link mirrorSchema} has looked at.
 *
 * @param faults what is wrong so far; faults of the target are added
 * @returns undefined when there are no options, or none that can be used
 */
export function resolveMirror(
  options: MirrorOptions | undefined,
  faults: ConfigFault[],
): ResolvedMirrorOptions | undefined {
  if (options === undefined || faults.some(({ path }) => path === 'mirror' || path.startsWith('mirror.'))) {
    return undefined
  }
  const forbidden = Object.keys(options.headers ?? {}).filter((name) => /^(?:host$|x[-_]postern[-_])/i.test(name))
  for (const name of forbidden) {
    faults.push({ path: `mirror.headers.${name}`, message: 'is set by the mirror itself', cure: 'use another name' })
  }
  let target: Target
  try {
    target = createTarget(options.target, 'mirror.target')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    faults.push(...error.faults)
    return undefined
  }
  if (forbidden.length > 0) return undefined
  const remove = (options.credentials ?? 'remove') === 'remove'
  const removed = [...(remove ? CREDENTIAL_HEADERS : []), ...(options.removeHeaders ?? [])]
  const set = Object.entries({ ...options.headers, [MIRROR_HEADER]: '1' })
  return Object.freeze({
    target,
    share: options.share ?? 1,
    methods: new Set(options.methods ?? ['GET', 'HEAD', 'OPTIONS']),
    maxBodyBytes: options.maxBodyBytes ?? 65_536,
    maxInFlight: options.maxInFlight ?? 64,
    timeoutMs: options.timeoutMs ?? 5_000,
    headerEdits: Object.freeze([
      ...removed.map((name): HeaderEdit => ({ op: 'remove', name: name.toLowerCase() })),
      ...set.map(([name, value]): HeaderEdit => ({ op: 'set', name: name.toLowerCase(), value })),
    ]),
    queryEdits: Object.freeze(remove ? CREDENTIAL_PARAMETERS.map((name): QueryEdit => ({ op: 'remove', name })) : []),
    onError: options.onError,
    random: options.random ?? Math.random,
  })
}
