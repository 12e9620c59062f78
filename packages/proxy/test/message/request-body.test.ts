import { Readable } from 'node:stream'
import type { Exchange } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { BodyLimitError, BodySourceError, RequestBody } from '../../src/message/request-body.ts'

function body(source: Readable, limit = Number.POSITIVE_INFINITY) {
  const exchange = { requestBodyBytes: 0 } as Exchange
  const seen: string[] = []
  let progress = 0
  const made = new RequestBody(source, exchange, limit, {
    progress: () => {
      progress++
    },
  })
  made.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
  made.on('end', () => seen.push('(end)'))
  made.on('close', () => seen.push('(close)'))
  return { made, exchange, seen, progress: () => progress }
}

function source(): Readable {
  return new Readable({ read() {} })
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('RequestBody', () => {
  it('reads nothing before it is asked to, so that another attempt can', async () => {
    const from = source()
    const { made, seen } = body(from)
    from.push('hello')
    await turn()
    expect([seen, made.started, from.readableFlowing]).toEqual([[], false, null])
    made.destroy()
    const next = body(from)
    next.made.resume()
    from.push(null)
    await turn()
    await turn()
    expect(next.seen).toEqual(['hello', '(end)'])
  })

  it('hands on what comes, and counts it', async () => {
    const from = source()
    const { made, seen, exchange, progress } = body(from)
    made.resume()
    from.push('hello')
    await turn()
    from.push('world')
    from.push(null)
    await turn()
    await turn()
    expect(seen).toEqual(['hello', 'world', '(end)'])
    expect([exchange.requestBodyBytes, progress(), made.ended]).toEqual([10, 2, true])
  })

  it('fails with the chunk that passes the limit, which goes nowhere', async () => {
    const from = source()
    const { made, seen, exchange } = body(from, 8)
    const errors: Error[] = []
    made.on('error', (error: Error) => errors.push(error))
    made.resume()
    from.push('12345')
    await turn()
    from.push('6789')
    await turn()
    expect(errors).toEqual([expect.any(BodyLimitError)])
    expect(seen).toEqual(['12345', '(close)'])
    expect(exchange.requestBodyBytes).toBe(5)
  })

  it('drops what still comes once it is let go of, and leaves the source alive', async () => {
    const from = source()
    const { made, seen } = body(from)
    made.resume()
    from.push('one')
    await turn()
    made.pause()
    from.push('two')
    made.destroy()
    from.push('three')
    from.push(null)
    await turn()
    await turn()
    expect(seen).toEqual(['one', '(close)'])
    expect([from.readableEnded, from.errored]).toEqual([true, null])
  })

  it('takes a source that breaks after it was let go of', async () => {
    const from = source()
    const { made } = body(from)
    made.resume()
    await turn()
    made.destroy()
    from.destroy(new Error('reset'))
    await turn()
    expect(from.destroyed).toBe(true)
  })

  it('tells of a source that breaks', async () => {
    const from = source()
    const { made } = body(from)
    const errors: Error[] = []
    made.on('error', (error: Error) => errors.push(error))
    made.resume()
    from.destroy(new Error('reset'))
    await turn()
    expect(errors).toEqual([expect.any(BodySourceError)])
    expect(errors[0]!.cause).toMatchObject({ message: 'reset' })
    expect(made.destroyed).toBe(true)
  })
})
