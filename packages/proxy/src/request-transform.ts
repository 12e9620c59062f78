import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'

/** Sends a body through the app's stream, which nobody reads yet. */
export function feedTransform(
  transform: Transform,
  body: Buffer | IncomingMessage,
  maxBytes: number,
  fail: (error: Error) => void,
): void {
  let total = 0
  transform.on('data', (chunk: Buffer) => {
    total += chunk.length
    if (total > maxBytes) transform.destroy(new Error(`the transformed body grew over ${maxBytes} bytes`))
  })
  transform.pause()
  transform.on('error', fail)
  // Destroyed by the app it tells neither end nor error.
  transform.on('close', () => {
    if (!transform.readableEnded) fail(new Error('the transform was destroyed'))
  })
  if (Buffer.isBuffer(body)) transform.end(body)
  else body.pipe(transform)
}
