/** What stands in a line in place of a secret. */
export const REDACTED = '[redacted]'

/** Anywhere in a name, once case and punctuation are gone: `X-Amz-Security-Token`, `user[password]`. */
const SECRET_PART =
  /token|secret|passw|passphrase|passcode|apikey|accesskey|privatekey|signature|credential|sess(?:ion)?id|cookie|authori[sz]ation|assertion|samlre|jwt/

/** As a whole name or a whole segment of `a[b]`, `a.b`; too short or too common to be looked for inside of words. */
const SECRET_PARAMETERS = new Set(
  'auth bearer code codeverifier hmac key otp pass pin pw pwd sid sig ticket'.split(' '),
)

/** Segments between the dashes of a header name. `key` is not among them: Idempotency-Key is what one wants to see. */
const SECRET_HEADER_SEGMENTS = new Set('auth bearer hmac otp pass passwd pwd sid sig'.split(' '))

/** As a whole name: a page has no other field for the token of its WebSocket, and none of the entries says that it is one. */
const SECRET_HEADER = 'sec-websocket-protocol'

/** More names to redact; a string is compared without regard to case and punctuation. */
export type SecretName = string | RegExp

/** Tells which names hold secrets. */
export interface SecretNames {
  /** A header name, or a key of the app's own fields. */
  isSecretHeader(name: string): boolean
  /** A parameter name as it stood in the URL, still encoded. */
  isSecretParameter(name: string): boolean
}

/** Verdicts are remembered for names up to this length, in a table that starts afresh at its bound. */
const REMEMBERED_LENGTH = 64
const REMEMBERED_NAMES = 1000
const MAX_DECODINGS = 10

/** @param more names that this app keeps secret, beyond the usual ones */
export function secretNames(more: { headers: readonly SecretName[]; query: readonly SecretName[] }): SecretNames {
  return {
    isSecretHeader: remembering(rule(more.headers, isUsualSecretHeader)),
    isSecretParameter: remembering(rule(more.query, isUsualSecretParameter)),
  }
}

function isUsualSecretHeader(name: string): boolean {
  if (name === SECRET_HEADER || SECRET_PART.test(plain(name))) return true
  return name.split(/[^a-z0-9]+/).some((part) => SECRET_HEADER_SEGMENTS.has(part))
}

function isUsualSecretParameter(name: string): boolean {
  const whole = plain(name)
  if (SECRET_PART.test(whole) || SECRET_PARAMETERS.has(whole)) return true
  return /[[.]/.test(name) && name.split(/[[\].]+/).some((part) => SECRET_PARAMETERS.has(plain(part)))
}

function rule(more: readonly SecretName[], usual: (name: string) => boolean): (name: string) => boolean {
  const names = new Set(more.filter((name) => typeof name === 'string').map((name) => plain(name.toLowerCase())))
  // Without g and y: a pattern must not remember where it stopped in another name.
  const patterns = more
    .filter((name) => name instanceof RegExp)
    .map((pattern) => new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')))
  return (encoded) => {
    const decoded = decodedName(encoded)
    const name = decoded.toLowerCase()
    return usual(name) || names.has(plain(name)) || patterns.some((pattern) => pattern.test(decoded))
  }
}

function remembering(decide: (name: string) => boolean): (name: string) => boolean {
  const known = new Map<string, boolean>()
  return (name) => {
    if (name.length > REMEMBERED_LENGTH) return decide(name)
    let verdict = known.get(name)
    if (verdict === undefined) {
      verdict = decide(name)
      if (known.size >= REMEMBERED_NAMES) known.clear()
      known.set(name, verdict)
    }
    return verdict
  }
}

function plain(lowerCaseName: string): string {
  return lowerCaseName.replace(/[^a-z0-9]+/g, '')
}

/** Decoded as often as it is encoded, since a name may sit in a URL inside of a URL; malformed escapes stay as they are. */
function decodedName(name: string): string {
  let decoded = name
  for (let i = 0; i < MAX_DECODINGS && decoded.includes('%'); i++) {
    const once = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    if (once === decoded) break
    decoded = once
  }
  return decoded
}
