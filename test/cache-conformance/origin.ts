import { parseResponses, type RawConnection, startRawUpstream } from '@postern/test-kit'
import type { Answer, OriginAnswer } from './case.ts'
import type { HandClock } from './stack.ts'

/** One request as the origin read it from the wire. */
export interface SeenRequest {
  readonly method: string
  readonly target: string
  /** Lower-case names; several values joined with `, `. An object without a prototype. */
  readonly headers: Readonly<Record<string, string>>
  /** All bytes, as latin1 text. */
  readonly text: string
}

/** An origin whose every byte the case decides. */
export interface Origin {
  readonly url: string
  readonly requests: readonly SeenRequest[]
  /** Content of the last answer that had any, and its status. */
  readonly last: { readonly content: string; readonly status: number } | undefined
  /** Answers from here on with this; a function is asked for each request. */
  answerWith(answer: OriginAnswer | ((seen: SeenRequest) => OriginAnswer | Promise<OriginAnswer>)): void
  close(): Promise<void>
}

/** Starts an origin on loopback that answers 200 without any caching field until it is told otherwise. */
export async function startOrigin(clock: HandClock): Promise<Origin> {
  const requests: SeenRequest[] = []
  let last: Origin['last']
  let next: (seen: SeenRequest) => OriginAnswer | Promise<OriginAnswer> = () => ({ status: 200, lines: [] })
  let contents = 0

  const upstream = await startRawUpstream(async ({ nextRequest, socket }: RawConnection) => {
    for (let bytes = await nextRequest(); bytes !== undefined; bytes = await nextRequest()) {
      const seen = readRequest(bytes)
      requests.push(seen)
      const answer = await next(seen)
      if (answer === 'gone') {
        socket.end()
        return
      }
      clock.pass(answer.delay ?? 0)
      const bodyless = answer.status === 204 || answer.status === 304
      const content = bodyless ? '' : (answer.content ?? `content ${++contents}`)
      if (!bodyless) last = { content, status: answer.status }
      const rawBytes = answer.raw ?? message(answer, content, bodyless, seen.method, clock)
      if (!socket.destroyed) socket.write(Buffer.from(rawBytes, 'latin1'))
      const rest = (await answer.rest) ?? ''
      if (rest !== '' && !socket.destroyed) socket.write(Buffer.from(rest, 'latin1'))
      if (answer.raw !== undefined && !isWhole(rawBytes + rest, seen.method)) {
        socket.end()
        return
      }
    }
    socket.end()
  })

  return {
    url: upstream.url,
    requests,
    get last() {
      return last
    },
    answerWith(answer) {
      next = typeof answer === 'function' ? answer : () => answer
    },
    close: () => upstream.close(),
  }
}

function message(answer: Answer, content: string, bodyless: boolean, method: string, clock: HandClock): string {
  const has = (name: string) => answer.lines.some((line) => line.toLowerCase().startsWith(`${name}:`))
  const lines = [...answer.lines]
  if (answer.undated !== true && !has('date')) lines.unshift(`Date: ${new Date(clock.wallNow()).toUTCString()}`)
  if (!bodyless && !has('content-length')) lines.push(`Content-Length: ${content.length}`)
  const head = `HTTP/1.1 ${answer.status} Scripted\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
  return method === 'HEAD' ? head : head + content
}

/** Whether the bytes are whole messages, so that the connection can be used again. */
function isWhole(bytes: string, method: string): boolean {
  const { responses, leftover } = parseResponses(Buffer.from(bytes, 'latin1'), { methods: [method] })
  return leftover.length === 0 && responses.at(-1)?.complete === true
}

function readRequest(bytes: Buffer): SeenRequest {
  const text = bytes.toString('latin1')
  const [requestLine = '', ...lines] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n')
  const [method = '', target = ''] = requestLine.split(' ')
  const headers = Object.create(null) as Record<string, string>
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return { method, target, headers, text }
}
