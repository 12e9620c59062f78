import type { LogEntry } from '../entry.ts'
import { quoted } from '../text.ts'

/** One entry as one line of JSON, without the line's end. Built by hand, since the shape is known. */
export function jsonLine(entry: LogEntry): string {
  let line = `{"time":"${entry.time}","level":"${entry.level}","message":${quoted(entry.message)}`
  if (entry.name !== undefined) line += `,"name":${quoted(entry.name)}`
  line += `,"id":${quoted(entry.id)},"method":${quoted(entry.method)},"path":${quoted(entry.path)}`
  if (entry.query !== undefined) line += `,"query":${quoted(entry.query)}`
  if (entry.host !== undefined) line += `,"host":${quoted(entry.host)}`
  if (entry.route !== undefined) line += `,"route":${quoted(entry.route)}`
  if (entry.target !== undefined) line += `,"target":${quoted(entry.target)}`
  if (entry.cache !== undefined) line += `,"cache":"${entry.cache}"`
  line += `,"status":${entry.status}`
  if (entry.bytesIn !== undefined) line += `,"bytesIn":${entry.bytesIn}`
  if (entry.bytesOut !== undefined) line += `,"bytesOut":${entry.bytesOut}`
  line += `,"client":${quoted(entry.client)},"protocol":"${entry.protocol}","httpVersion":${quoted(entry.httpVersion)}`
  if (entry.userAgent !== undefined) line += `,"userAgent":${quoted(entry.userAgent)}`
  if (entry.referer !== undefined) line += `,"referer":${quoted(entry.referer)}`
  line += `,"attempts":${entry.attempts}`
  if (entry.queueMs !== undefined) line += `,"queueMs":${entry.queueMs}`
  if (entry.connectMs !== undefined) line += `,"connectMs":${entry.connectMs}`
  if (entry.headersMs !== undefined) line += `,"headersMs":${entry.headersMs}`
  line += `,"totalMs":${entry.totalMs}`
  if (entry.failure !== undefined) line += failureJson(entry)
  if (entry.problem !== undefined) line += `,"problem":${quoted(entry.problem)}`
  if (entry.problemReason !== undefined) line += `,"problemReason":${quoted(entry.problemReason)}`
  if (entry.subject !== undefined) line += `,"subject":${quoted(entry.subject)}`
  if (entry.traceId !== undefined) line += `,"traceId":"${entry.traceId}"`
  if (entry.requestHeaders !== undefined) line += `,"requestHeaders":${headersJson(entry.requestHeaders)}`
  if (entry.responseHeaders !== undefined) line += `,"responseHeaders":${headersJson(entry.responseHeaders)}`
  if (entry.fields !== undefined) line += `,${entry.fields.slice(1, -1)}`
  return `${line}}`
}

function failureJson(entry: LogEntry): string {
  let text = `,"failure":${quoted(String(entry.failure))}`
  if (entry.failurePhase !== undefined) text += `,"failurePhase":${quoted(entry.failurePhase)}`
  if (entry.failureSide !== undefined) text += `,"failureSide":${quoted(entry.failureSide)}`
  if (entry.failureCause !== undefined) text += `,"failureCause":${quoted(entry.failureCause)}`
  return text
}

function headersJson(headers: Record<string, string>): string {
  let text = ''
  for (const name in headers) text += `${text === '' ? '{' : ','}${quoted(name)}:${quoted(headers[name]!)}`
  return `${text}}`
}
