import { REDACTED, type SecretName, secretNames } from './names.ts'
import { pathRedactor, type SecretPath } from './path-patterns.ts'
import { redactedAuthority, redactedUrlText } from './url-text.ts'

/** What an app keeps out of its log beyond the names that every app should. */
export interface RedactOptions {
  /** More names of headers, and of keys in the app's own fields. */
  readonly headers?: readonly SecretName[]
  /** More names of query parameters. */
  readonly query?: readonly SecretName[]
  /** Paths that hold secrets in a segment: `/reset/:token`, or patterns whose matches are taken out. */
  readonly paths?: readonly SecretPath[]
}

/** Takes secrets out of what goes into a line. */
export interface Redactor {
  /** A request target in origin or absolute form, as it was received; split, and each part redacted. */
  target(raw: string): { path: string; query: string | undefined }
  /** A URL, or a text that may hold one: Referer, User-Agent, the text of an error. */
  text(value: string): string
  /** A Host header. */
  host(value: string): string
  /** The value of a header under its name. */
  header(name: string, value: string): string
  /** True when what stands under this key of the app's own fields is a secret. */
  isSecretKey(key: string): boolean
}

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i
/** Credentials as RFC 9110 §11.4 writes them, under a header whose name did not tell. */
const CREDENTIALS = /\b(basic|bearer|digest|dpop|negotiate)\s+\S.*/gi

export function createRedactor(options: RedactOptions): Redactor {
  const names = secretNames({ headers: options.headers ?? [], query: options.query ?? [] })
  const patterns = options.paths ?? []
  const secretPaths = patterns.length === 0 ? undefined : pathRedactor(patterns)
  const { isSecretParameter, isSecretHeader } = names
  const text = (value: string): string =>
    redactedUrlText(secretPaths === undefined ? value : withPath(value, secretPaths), isSecretParameter)
  return {
    target(raw) {
      let rest = raw
      if (raw.charCodeAt(0) !== 0x2f) {
        // The authority of an absolute-form target is left out: it may hold userinfo, and Host is logged.
        rest = raw.replace(ABSOLUTE_FORM, '')
        if (rest === raw) rest = redactedAuthority(raw)
      }
      const mark = rest.indexOf('?')
      const path = mark === -1 ? rest : rest.slice(0, mark)
      return {
        path: redactedUrlText(secretPaths === undefined ? path : secretPaths(path), isSecretParameter),
        query: mark === -1 ? undefined : redactedUrlText(rest.slice(mark), isSecretParameter).slice(1),
      }
    },
    text,
    host: redactedAuthority,
    header(name, value) {
      if (isSecretHeader(name)) return REDACTED
      return text(value.replace(CREDENTIALS, `$1 ${REDACTED}`))
    },
    isSecretKey: isSecretHeader,
  }
}

/** Applies the patterns of secret paths to the path of a whole URL or of a relative one. */
function withPath(value: string, secretPaths: (path: string) => string): string {
  const start = value.startsWith('/') ? 0 : (ABSOLUTE_FORM.exec(value)?.[0].length ?? -1)
  if (start === -1) return value
  const length = value.slice(start).search(/[?#]/)
  const end = length === -1 ? value.length : start + length
  return value.slice(0, start) + secretPaths(value.slice(start, end)) + value.slice(end)
}
