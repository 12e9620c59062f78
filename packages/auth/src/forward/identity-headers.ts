import type { IncomingMessage } from 'node:http'
import type { Identity } from '@postern/contracts'
import { claimAt } from '../claim-path.ts'
import { headerValue, MAX_HEADERS_LENGTH, TOO_LONG } from './header-value.ts'
import { type Refusal, refusal } from './refusal.ts'

/** What a header is filled from; see {@link ForwardIdentityOptions.headers}. */
export type IdentityHeaderSource =
  | 'subject'
  | 'scopes'
  | 'roles'
  | 'scheme'
  | (string & {})
  | ((identity: Identity, req: IncomingMessage) => string | undefined)

type HeaderFunction = Extract<IdentityHeaderSource, (...args: never[]) => unknown>

/** The headers of an identity: names and values in turn. */
type Lines = readonly string[]

/** Writes identities as headers. What depends on the identity alone is written once for all its requests. */
export class IdentityHeaders {
  readonly #fromClaims: readonly (readonly [name: string, source: string])[]
  readonly #fromFunctions: readonly (readonly [name: string, source: HeaderFunction])[]
  readonly #written = new WeakMap<Identity, Lines | Refusal>()

  /** @param headers by lower-case name */
  constructor(headers: Readonly<Record<string, IdentityHeaderSource>>) {
    const entries = Object.entries(headers)
    this.#fromClaims = entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    this.#fromFunctions = entries.filter((entry): entry is [string, HeaderFunction] => typeof entry[1] === 'function')
  }

  /**
   * Names and values in turn. A refusal when they do not fit: half an identity may allow more than the whole one, so that
   * none is sent on with a part of it missing.
   */
  of(identity: Identity, req: IncomingMessage): Lines | Refusal {
    let written = this.#written.get(identity)
    if (written === undefined) {
      written = this.#write(this.#fromClaims, (source) => partOf(identity, source))
      this.#written.set(identity, written)
    }
    if (this.#fromFunctions.length === 0 || isRefusal(written)) return written
    const more = this.#write(this.#fromFunctions, (source) => checkedText(source(identity, req)))
    if (isRefusal(more)) return more
    const all = [...written, ...more]
    return lengthOf(all) > MAX_HEADERS_LENGTH ? TOO_MUCH : all
  }

  #write<Source>(entries: readonly (readonly [string, Source])[], read: (source: Source) => unknown): Lines | Refusal {
    const lines: string[] = []
    for (const [name, source] of entries) {
      try {
        const value = headerValue(read(source))
        if (value === TOO_LONG) return TOO_MUCH
        if (value !== undefined) lines.push(name, value)
      } catch (cause) {
        return refusal('identity_unavailable', 'header-failed', `the value of the header ${name} cannot be made`, cause)
      }
    }
    return lengthOf(lines) > MAX_HEADERS_LENGTH ? TOO_MUCH : lines
  }
}

const TOO_MUCH: Refusal = refusal(
  'access_denied',
  'identity-too-long',
  `the identity is longer than the ${MAX_HEADERS_LENGTH} characters that its headers may hold`,
)

function isRefusal(written: Lines | Refusal): written is Refusal {
  return !Array.isArray(written)
}

function partOf(identity: Identity, source: string): unknown {
  switch (source) {
    case 'subject':
    case 'scopes':
    case 'roles':
    case 'scheme':
      return identity[source]
    default:
      return claimAt(identity.claims, source)
  }
}

function checkedText(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  // A promise among them: nobody waits for it, and its rejection would end the process.
  if (value instanceof Promise) value.catch(() => {})
  throw new TypeError('the function has returned neither a text nor undefined')
}

function lengthOf(lines: Lines): number {
  let length = 0
  for (let i = 1; i < lines.length; i += 2) length += lines[i]!.length
  return length
}
