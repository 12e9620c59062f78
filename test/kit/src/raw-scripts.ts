import type { RawConnection, RawScript } from './raw-upstream.ts'

/** Raw bytes of a response; text goes out as latin1, one byte a character. */
export type RawBytes = string | Uint8Array

/** What a script does with the connection once its bytes are out. */
export type Ending = 'wait' | 'close' | 'reset'

/** A whole, well-formed response with a Content-Length. */
export function rawResponse(body = 'ok', headers: Readonly<Record<string, string>> = {}, status = '200 OK'): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status}\r\n${lines.join('')}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${Buffer.from(body).toString('latin1')}`
}

/** Answers every request with these bytes and keeps the connection open. */
export function answer(bytes: RawBytes = rawResponse()): RawScript {
  return async (connection) => {
    while ((await connection.nextRequest()) !== undefined) write(connection, bytes)
    connection.socket.end()
  }
}

/** Answers the first request with these bytes; then waits, closes (FIN) or resets (RST). */
export function answerThen(bytes: RawBytes, ending: Ending): RawScript {
  return async (connection) => {
    if ((await connection.nextRequest()) === undefined) return
    write(connection, bytes)
    finish(connection, ending)
  }
}

/** Answers the first request with these bytes and closes. */
export function answerThenClose(bytes: RawBytes = rawResponse()): RawScript {
  return answerThen(bytes, 'close')
}

/** Accepts, reads everything, never answers. */
export function neverAnswer(): RawScript {
  return () => {}
}

/** Accepts and does not even read, so that a large upload meets a full window. */
export function neverRead(): RawScript {
  return (connection) => {
    connection.socket.pause()
  }
}

/** Closes (FIN) behind the first request without a byte of an answer. */
export function closeUnanswered(): RawScript {
  return answerThen('', 'close')
}

/** Resets (RST) the connection as soon as it is accepted. */
export function resetAtOnce(): RawScript {
  return (connection) => {
    connection.socket.resetAndDestroy()
  }
}

/** Resets (RST) behind the first request without a byte of an answer. */
export function resetUnanswered(): RawScript {
  return answerThen('', 'reset')
}

/** Resets (RST) when so many bytes of the request have arrived: in the middle of a head or of an upload. */
export function resetAfter(bytes: number): RawScript {
  return async (connection) => {
    if (await connection.receivedBytes(bytes)) connection.socket.resetAndDestroy()
  }
}

/** Half a head. */
export function halfHead(ending: Ending = 'wait'): RawScript {
  return answerThen('HTTP/1.1 200 OK\r\nContent-Type: text/pl', ending)
}

/** A whole head and 5 bytes of a longer body. */
export function cutBody(framing: 'content-length' | 'chunked', ending: Ending = 'close'): RawScript {
  return answerThen(
    framing === 'chunked'
      ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
      : 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello',
    ending,
  )
}

/** Sends the answer one byte at a time, `intervalMs` apart, until it is out or the connection is gone. */
export function dribble(bytes: RawBytes = rawResponse(), intervalMs = 10): RawScript {
  return async (connection) => {
    const buffer = toBuffer(bytes)
    while ((await connection.nextRequest()) !== undefined) {
      for (const byte of buffer) {
        if (connection.socket.destroyed) return
        connection.socket.write(Buffer.of(byte))
        await new Promise((resolve) => setTimeout(resolve, intervalMs))
      }
    }
  }
}

/** Bytes that are not HTTP at all. */
export function garbage(): RawScript {
  return answerThen('\x00\x16\x03\x01 this is not HTTP\r\n\r\n', 'wait')
}

/** A response with both framings, RFC 9112 §6.3 #3. */
export function bothFramings(): RawScript {
  return answerThen(
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\n\r\n',
    'wait',
  )
}

/** A response with two Content-Lengths, RFC 9112 §6.3 #5. */
export function twoLengths(first = '2', second = '3'): RawScript {
  return answerThen(`HTTP/1.1 200 OK\r\nContent-Length: ${first}\r\nContent-Length: ${second}\r\n\r\nabc`, 'wait')
}

/** A status that is none: `000`, `099`, `1000`, `abc`. */
export function badStatus(status: string): RawScript {
  return answerThen(`HTTP/1.1 ${status} Odd\r\nContent-Length: 2\r\n\r\nok`, 'wait')
}

/** So many interim responses, then a good one. */
export function interimStorm(count: number, status = '103 Early Hints'): RawScript {
  const interim = `HTTP/1.1 ${status}\r\nLink: </style.css>; rel=preload\r\n\r\n`
  return answer(interim.repeat(count) + rawResponse())
}

/** A good response with more bytes behind its end: another response, by default. */
export function extraBytes(extra: RawBytes = rawResponse('poison', { 'X-Poison': 'yes' })): RawScript {
  return answer(Buffer.concat([toBuffer(rawResponse()), toBuffer(extra)]))
}

/** A 101 that nobody asked for. */
export function unaskedSwitch(): RawScript {
  return answerThen(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nnot-http',
    'wait',
  )
}

/**
 * Answers the first request of each connection and keeps it alive; the first byte of a second request on the same
 * connection closes or resets it: the pooled socket that went stale just as it was reused.
 */
export function staleOnReuse(ending: 'close' | 'reset' = 'reset', bytes: RawBytes = rawResponse()): RawScript {
  return async (connection) => {
    const first = await connection.nextRequest()
    if (first === undefined) return
    write(connection, bytes)
    if (await connection.receivedBytes(first.length + 1)) finish(connection, ending)
  }
}

function toBuffer(bytes: RawBytes): Uint8Array {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
}

function write(connection: RawConnection, bytes: RawBytes): void {
  const buffer = toBuffer(bytes)
  if (buffer.length > 0 && !connection.socket.destroyed) connection.socket.write(buffer)
}

function finish(connection: RawConnection, ending: Ending): void {
  const { socket } = connection
  if (ending === 'close') {
    socket.end()
    return
  }
  if (ending === 'wait') return
  // A reset overtakes what the other side has not read yet, so it waits until the bytes are out and had time to arrive.
  if (socket.writableLength === 0 && socket.bytesWritten === 0) socket.resetAndDestroy()
  else setTimeout(() => socket.resetAndDestroy(), 25)
}
