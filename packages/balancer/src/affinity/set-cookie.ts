import type { ResolvedCookieAffinity } from './options.ts'

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const

/** Writes the `Set-Cookie` lines of one cookie. */
export class CookieWriter {
  readonly #name: string
  readonly #secure: 'auto' | boolean
  readonly #attributes: string
  readonly #maxAge: string

  constructor({ name, path, sameSite, secure, maxAgeMs }: ResolvedCookieAffinity) {
    this.#name = name
    this.#secure = secure
    this.#attributes = `; Path=${path}; HttpOnly; SameSite=${SAME_SITE[sameSite]}`
    this.#maxAge = maxAgeMs === undefined ? '' : `; Max-Age=${Math.floor(maxAgeMs / 1000)}`
  }

  /** @param isHttps whether the client speaks HTTPS */
  set(value: string, isHttps: boolean): string {
    return `${this.#name}=${value}${this.#maxAge}${this.#attributes}${this.#secureOf(isHttps)}`
  }

  /** Takes the cookie back from the client. */
  remove(isHttps: boolean): string {
    return `${this.#name}=; Max-Age=0${this.#attributes}${this.#secureOf(isHttps)}`
  }

  #secureOf(isHttps: boolean): string {
    return this.#secure === true || (this.#secure === 'auto' && isHttps) ? '; Secure' : ''
  }
}
