import { REDACTED } from '../redact/names.ts'
import type { Redactor } from '../redact/redactor.ts'
import { bounded, printableJson } from '../text.ts'
import { messageOf, warn } from '../warnings.ts'

/** Longest JSON of the app's own fields in one line, in UTF-16 units. */
const MAX_FIELDS_LENGTH = 16_384

/**
 * The app's own fields as the JSON text of an object, safe to print; undefined when there is nothing in it.
 * Values under secret names are redacted (numbers, booleans and null stay: `tokens: 5` counts something), long strings
 * cut, errors written out; fields larger than 16 kB are left out.
 *
 * @param reserved names at the top that are ours
 * @throws whatever a getter, `toJSON` or a circle in the object throws
 */
export function fieldsJson(fields: object, reserved: ReadonlySet<string>, redactor: Redactor): string | undefined {
  const root = fields instanceof Error ? { error: fields } : fields
  const json = JSON.stringify(root, function (this: unknown, key: string, value: unknown): unknown {
    // `__proto__` is no name for data: whoever copies the line's object would set a prototype.
    if (key === '__proto__' || (this === root && reserved.has(key))) return undefined
    switch (typeof value) {
      case 'string':
        return redactor.isSecretKey(key) ? REDACTED : bounded(ownText(value, redactor))
      case 'bigint':
        return redactor.isSecretKey(key) ? REDACTED : String(value)
      case 'object':
        if (value === null) return null
        if (key !== '' && redactor.isSecretKey(key)) return REDACTED
        return value instanceof Error ? errorFields(value) : value
      default:
        return value
    }
  })
  // An array, or an object whose toJSON() gives a text, has no names to put into a line.
  if (json === undefined || json.length <= 2 || json[0] !== '{') return undefined
  if (json.length > MAX_FIELDS_LENGTH) {
    warn('POSTERN_LOGGER_FIELDS_TOO_LARGE')
    return undefined
  }
  return printableJson(json)
}

/** A text of the app's own, in which only what looks like a URL is searched for secrets. */
export function ownText(text: string, redactor: Redactor): string {
  if (!text.includes('/')) return text
  return text
    .split(/(\s+)/)
    .map((word) => (word.includes('/') ? redactor.text(word) : word))
    .join('')
}

function errorFields(error: Error): object {
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    message: error.message,
    code: typeof code === 'string' || typeof code === 'number' ? code : undefined,
    stack: error.stack,
    cause: error.cause === undefined ? undefined : messageOf(error.cause),
  }
}
