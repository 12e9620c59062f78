import { Readable } from 'node:stream'
import type { Exchange } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { BodySource, type BodyTee } from '../../src/message/body-source.ts'
import { BodyLimitError, BodySourceError } from '../../src/message/request-body.ts'

function body(source: Readable, limit = Number.POSITIVE_INFINITY) {
  const exchange = { requestBodyBytes: 0 } as Exchange
  return { exchange, ...reader(new BodySource(source, exchange, limit, 0)) }
}

/** One attempt's reader, and what it saw. */
function reader(source: BodySource) {
  const seen: string[] = []
  let progress = 0
  const made = source.open({
    progress: () => {
      progress++
    },
  })
  made.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
  made.on('end', () => seen.push('(end)'))
  made.on('close', () => seen.push('(close)'))
  return { made, seen, progress: () => progress }
}

function source(): Readable {
  return new Readable({ read() {} })
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('the body of one attempt', () => {
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

describe('a body that is kept for another attempt', () => {
  const turns = async () => {
    for (let i = 0; i < 4; i++) await turn()
  }

  function kept(maxReplayBytes = 16, tee?: BodyTee) {
    const from = source()
    const exchange = { requestBodyBytes: 0 } as Exchange
    return { from, exchange, all: new BodySource(from, exchange, 1_000, maxReplayBytes, tee) }
  }

  it('is read again from its first byte, then goes on', async () => {
    const { from, exchange, all } = kept()
    const first = reader(all)
    first.made.resume()
    from.push('one ')
    await turns()
    first.made.destroy()
    from.push('two ')
    await turns()
    expect([all.isWhole, first.seen]).toEqual([true, ['one ', '(close)']])
    const second = reader(all)
    second.made.resume()
    await turns()
    from.push('three')
    from.push(null)
    await turns()
    expect(second.seen.join('')).toBe('one two three(end)')
    expect(exchange.requestBodyBytes).toBe(13)
  })

  it('is whole for the next attempt when it had come to its end', async () => {
    const { from, all } = kept()
    const first = reader(all)
    first.made.resume()
    from.push('all of it')
    from.push(null)
    await turns()
    first.made.destroy()
    const second = reader(all)
    second.made.resume()
    await turns()
    expect(second.seen).toEqual(['all of it', '(end)'])
    expect(second.made.ended).toBe(true)
  })

  it('keeps nothing any more once it grows over the bound', async () => {
    const { from, all } = kept(8)
    const first = reader(all)
    first.made.resume()
    from.push('12345678')
    await turns()
    expect(all.isWhole).toBe(true)
    from.push('9')
    await turns()
    expect(all.isWhole).toBe(false)
    from.push(null)
    await turns()
    expect(first.seen.at(-1)).toBe('(end)')
  })

  it('holds back a second reading as it does a first', async () => {
    const { from, all } = kept()
    const first = reader(all)
    first.made.resume()
    from.push('a')
    await turns()
    from.push('b')
    await turns()
    first.made.destroy()
    const second = reader(all)
    second.made.once('data', () => second.made.pause())
    second.made.resume()
    await turns()
    expect([second.seen, second.made.paused]).toEqual([['a'], true])
    second.made.resume()
    await turns()
    expect(second.seen).toEqual(['a', 'b'])
  })

  it('lets the rest go once no attempt follows', async () => {
    const { from, all } = kept()
    const first = reader(all)
    first.made.resume()
    from.push('one')
    await turns()
    first.made.destroy()
    from.push('two')
    all.seal()
    from.push(null)
    await turns()
    expect([all.isWhole, from.readableEnded]).toEqual([false, true])
  })

  it('ends the next attempt at once when the client broke off in between', async () => {
    const { from, all } = kept()
    const first = reader(all)
    first.made.resume()
    from.push('one')
    await turns()
    first.made.destroy()
    from.destroy(new Error('reset'))
    await turns()
    expect(all.isWhole).toBe(false)
    const second = reader(all)
    const errors: Error[] = []
    second.made.on('error', (error: Error) => errors.push(error))
    second.made.resume()
    await turns()
    expect(errors).toEqual([expect.any(BodySourceError)])
  })

  it('is shown to the copy once, however often it is sent', async () => {
    const copy: string[] = []
    const tee = {
      write: (chunk: Buffer) => void copy.push(chunk.toString()),
      end: () => void copy.push('(end)'),
      abort: () => void copy.push('(abort)'),
    }
    const { from, all } = kept(16, tee)
    const first = reader(all)
    first.made.resume()
    from.push('one')
    await turns()
    first.made.destroy()
    const second = reader(all)
    second.made.resume()
    from.push(null)
    await turns()
    expect(copy).toEqual(['one', '(end)'])
  })
})
