import type { Redactor } from '../redact/redactor.ts'
import { bounded, quoted } from '../text.ts'
import { messageOf, warn } from '../warnings.ts'
import { fieldsJson, ownText } from './fields.ts'

const RESERVED: ReadonlySet<string> = new Set(['time', 'level', 'message', 'name'])

/** One line of the app's own, as JSON in either format; fields that cannot be written are left out. */
export function appLine(
  time: string,
  level: string,
  name: string | undefined,
  fields: unknown,
  message: string | undefined,
  redactor: Redactor,
): string {
  let text = message
  let json: string | undefined
  if (typeof fields === 'object' && fields !== null) {
    if (text === undefined && fields instanceof Error) text = messageOf(fields)
    try {
      json = fieldsJson(fields, RESERVED, redactor)
    } catch (thrown) {
      warn('POSTERN_LOGGER_OPTION_FAILED', `fields of a line: ${messageOf(thrown)}`, 'log')
    }
  } else if (text === undefined && fields !== undefined) {
    // `log.info('text')`, as other loggers have it.
    text = messageOf(fields)
  }
  let line = `{"time":"${time}","level":${quoted(level)},"message":${quoted(bounded(ownText(String(text ?? ''), redactor)))}`
  if (name !== undefined) line += `,"name":${quoted(name)}`
  if (json !== undefined) line += `,${json.slice(1, -1)}`
  return `${line}}`
}
