import type { IncomingMessage } from 'node:http'
import { inspect } from 'node:util'
import { warnOnce } from '@postern/contracts'
import type { Refused } from '../../scheme.ts'
import type { TokenFunction } from '../token-source.ts'
import { checked, type Place, SOURCE_THREW } from './place.ts'

/** Wherever a function of the user's own finds it. */
export class FunctionPlace implements Place {
  readonly #source: TokenFunction
  readonly #maxBytes: number

  constructor(source: TokenFunction, maxBytes: number) {
    this.#source = source
    this.#maxBytes = maxBytes
  }

  find(req: IncomingMessage): string | Refused | undefined {
    let found: unknown
    try {
      found = this.#source(req)
    } catch (error) {
      warnOnce(
        'POSTERN_TOKEN_SOURCE_THREW',
        `a function that finds tokens threw, which it never should: ${inspect(error)}`,
      )
      return SOURCE_THREW
    }
    if (typeof found === 'string') return found === '' ? undefined : checked(found, this.#maxBytes)
    if (isThenable(found)) {
      found.then(undefined, () => undefined)
      warnOnce(
        'POSTERN_TOKEN_SOURCE_ASYNC',
        'a function that finds tokens returned a promise, which is not waited for: return the token itself',
      )
    }
    return undefined
  }

  strip(): void {}
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}
