import * as v from 'valibot'
import type { ProviderTls } from '../http-client.ts'
import { MAX_MS, milliseconds, whole } from '../option-parts.ts'
import { httpsUnlessAllowed, providerTls, providerUrl } from '../provider-options.ts'

/** How a JSON Web Key Set is fetched (RFC 7517 §5), and for how long its keys are used. */
export interface RemoteKeysOptions {
  /** Where the issuer publishes its keys, its `jwks_uri`: https. Redirects are not followed. */
  readonly uri: string
  /** Longest time for one fetch, in milliseconds, 1 to 60,000. Requests that need a key not yet known wait for it. @default 5_000 */
  readonly timeoutMs?: number
  /** Longest answer, in bytes, 256 to 16,777,216. @default 262_144 */
  readonly maxBytes?: number
  /** Most keys in an answer, 1 to 1,000; with more of them it is refused as a whole. @default 100 */
  readonly maxKeys?: number
  /**
   * Unknown `kid`s have the keys fetched again at most once in this time, in milliseconds, 1 to 2^31-1: tokens of a key that
   * was published just now are refused for so long at worst. Also the longest pause between tries while fetches fail. @default 30_000
   */
  readonly coolDownMs?: number
  /** How long keys are fresh when the server says nothing of it, in milliseconds, 1 to 2^31-1. @default 600_000 */
  readonly freshMs?: number
  /** However little the server says, keys are fresh for this long, in milliseconds, 1 to 2^31-1. @default 30_000 */
  readonly minFreshMs?: number
  /**
   * However much the server says, keys are not fresh for longer, in milliseconds, `minFreshMs` to 2^31-1. A key that the issuer
   * withdraws is taken for so long at worst. @default 86_400_000, a day
   */
  readonly maxFreshMs?: number
  /**
   * How long keys that are not fresh any more are used while no fetch succeeds, in milliseconds, 0 to 2^31-1.
   * @default 86_400_000, a day
   */
  readonly maxStaleMs?: number
  /** Takes http as well: whoever is on the way to the provider may then issue tokens. @default false */
  readonly allowHttp?: boolean
  /** How the connection is secured. @default Node's own list of authorities */
  readonly tls?: ProviderTls
}

/** {@link RemoteKeysOptions}, checked, with the defaults filled. */
export interface ResolvedRemoteKeys {
  readonly uri: string
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly maxKeys: number
  readonly coolDownMs: number
  readonly freshMs: number
  readonly minFreshMs: number
  readonly maxFreshMs: number
  readonly maxStaleMs: number
  readonly tls: ProviderTls
}

const positive = whole(1, MAX_MS)

const entries = {
  uri: providerUrl,
  timeoutMs: v.optional(whole(1, 60_000), 5_000),
  maxBytes: v.optional(whole(256, 16_777_216), 262_144),
  maxKeys: v.optional(whole(1, 1_000), 100),
  coolDownMs: v.optional(positive, 30_000),
  freshMs: v.optional(positive, 600_000),
  minFreshMs: v.optional(positive, 30_000),
  maxFreshMs: v.optional(positive, 86_400_000),
  maxStaleMs: v.optional(milliseconds, 86_400_000),
  allowHttp: v.optional(v.boolean('not a boolean'), false),
  tls: v.optional(providerTls, {}),
}

/** For "did you mean". */
export const REMOTE_KEYS_OPTION_NAMES: readonly string[] = Object.keys(entries)

const schema = v.strictObject(entries, 'not a URL or an object of options')
type Checked = v.InferOutput<typeof schema>

const boundsInOrder = v.rawCheck<Checked>(({ dataset, addIssue }) => {
  if (!dataset.typed) return
  const { value } = dataset
  const { minFreshMs, maxFreshMs } = value
  if (maxFreshMs >= minFreshMs) return
  const path = { type: 'object', origin: 'value', input: { ...value }, key: 'maxFreshMs', value: maxFreshMs } as const
  addIssue({ message: `less than minFreshMs, ${minFreshMs}`, input: maxFreshMs, path: [path] })
})

/** The schema of an option that says where keys are fetched: an address, or {@link RemoteKeysOptions}. */
export const remoteKeysOption: v.GenericSchema<string | RemoteKeysOptions, ResolvedRemoteKeys> = v.pipe(
  v.custom<string | RemoteKeysOptions>(() => true),
  v.transform((given): unknown => (typeof given === 'string' ? { uri: given } : given)),
  schema,
  httpsUnlessAllowed<Checked>('uri'),
  boundsInOrder,
  v.transform(({ allowHttp: _, ...rest }) => Object.freeze(rest)),
)
