import type { IncomingMessage } from 'node:http'
import { ConfigError, faultsOf } from '@postern/contracts'
import * as v from 'valibot'
import { functionOption, MAX_MS, name, whole } from '../option-parts.ts'

/** How a strategy of passport's ecosystem is read. */
export interface PassportSchemeOptions {
  /** In `identity.scheme`, events and logs. @default the strategy's own name */
  readonly name?: string
  /**
   * Tells whether a request shows credentials of this strategy. Where it does not, the strategy is not asked; where it does,
   * a failure of the strategy is the answer, and counts as a guess. @default every request is shown to the strategy, and one with
   * an Authorization header shows credentials
   */
  readonly finds?: (req: IncomingMessage) => boolean
  /**
   * Who the strategy's user is. @default subject from `id`, `sub`, `username` or `email`, scopes and roles from members of these names
   */
  readonly identity?: (user: unknown, info: unknown, req: IncomingMessage) => IdentityParts
  /** Longest wait for the strategy, in milliseconds, 1 to 2^31-1; then the request is answered with 503. @default 10_000 */
  readonly timeoutMs?: number
  /**
   * The value of `WWW-Authenticate`. What the strategy itself says when it fails is for the operator: it may tell why.
   * @default `Bearer realm="api"`
   */
  readonly challenge?: string
}

/** What makes an identity. */
export interface IdentityParts {
  readonly subject: string
  readonly scopes?: readonly string[]
  readonly roles?: readonly string[]
  readonly claims?: Readonly<Record<string, unknown>>
}

const schema = v.strictObject(
  {
    name: v.optional(name),
    finds: v.optional(functionOption<NonNullable<PassportSchemeOptions['finds']>>()),
    identity: v.optional(functionOption<NonNullable<PassportSchemeOptions['identity']>>()),
    timeoutMs: v.optional(whole(1, MAX_MS), 10_000),
    challenge: v.optional(
      v.pipe(
        v.string('not a text'),
        v.regex(/^[\x21-\x7e][\x20-\x7e]{0,1023}$/, 'not 1 to 1,024 visible ASCII characters'),
      ),
    ),
  },
  'not an object of options',
)

/**
 * Checks the options.
 *
 * @throws ConfigError with all faults
 */
export function resolvePassportSchemeOptions(input: PassportSchemeOptions): v.InferOutput<typeof schema> {
  const result = v.safeParse(schema, input)
  if (result.success) return Object.freeze(result.output)
  throw new ConfigError(
    'passportScheme()',
    faultsOf(result.issues, () => Object.keys(schema.entries)),
  )
}
