import { Writable } from 'node:stream'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { BatchWriter } from '../../src/output/batch-writer.ts'
import { Stats } from '../../src/output/stats.ts'

/** A stream that keeps each write, and settles it when the test says so. */
class Manual extends Writable {
  readonly writes: string[] = []
  #pending: ((error?: Error) => void)[] = []

  constructor() {
    super({ decodeStrings: false })
  }

  override _write(chunk: string, _encoding: string, done: (error?: Error) => void): void {
    this.writes.push(chunk)
    this.#pending.push(done)
  }

  settle(error?: Error): void {
    this.#pending.shift()?.(error)
  }
}

function writerOn(stream: Writable, maxBufferBytes = 1_000_000) {
  const stats = new Stats()
  const writer = new BatchWriter({ stream, flushIntervalMs: 10, maxBufferBytes, stats })
  return { stats, writer }
}

function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

describe('BatchWriter', () => {
  it('writes many lines at once, in order, when their time has come', async () => {
    fakeTimers()
    const stream = new Manual()
    const { writer, stats } = writerOn(stream)
    for (const line of ['a', 'b', 'c']) writer.write(line)
    expect(stream.writes).toEqual([])
    vi.advanceTimersByTime(10)
    expect(stream.writes).toEqual(['a\nb\nc\n'])
    stream.settle()
    await nextTurn()
    expect(stats.written).toBe(3)
  })

  it('does not wait with a full batch', async () => {
    fakeTimers()
    const stream = new Manual()
    const { writer, stats } = writerOn(stream)
    writer.write('x'.repeat(70_000))
    expect(stream.writes).toHaveLength(1)
    stream.settle()
    await nextTurn()
    expect(stats.written).toBe(1)
  })

  it('writes one batch at a time', async () => {
    const stream = new Manual()
    const { writer, stats } = writerOn(stream)
    writer.write('a')
    const first = writer.flush()
    writer.write('b')
    const second = writer.flush()
    expect(stream.writes).toEqual(['a\n'])
    stream.settle()
    await first
    await nextTurn()
    expect(stream.writes).toEqual(['a\n', 'b\n'])
    stream.settle()
    await second
    expect(stats.written).toBe(2)
  })

  it('drops and counts lines while the stream stalls, within its bound', async () => {
    const stream = new Manual()
    const { writer, stats } = writerOn(stream, 100)
    writer.write('1234567890123456789')
    void writer.flush()
    for (let i = 0; i < 1000; i++) writer.write('1234567890123456789')
    expect(stats.lost).toBe(1000 - 4)
    const flushed = writer.flush()
    stream.settle()
    await nextTurn()
    stream.settle()
    await flushed
    expect(stats).toMatchObject({ written: 5, lost: 996 })
    expect(stream.writes.join('')).toHaveLength(100)
  })

  it('counts the lines of a failed write as lost, and goes on', async () => {
    const failing = new Writable({
      autoDestroy: false,
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }))
      },
    })
    const { writer, stats } = writerOn(failing)
    writer.write('a')
    writer.write('b')
    await writer.flush()
    expect(stats).toMatchObject({ written: 0, lost: 2 })
    writer.write('c')
    await writer.flush()
    expect(stats.lost).toBe(3)
  })

  it('counts lines for a stream that is gone', async () => {
    const stream = new Manual()
    const { writer, stats } = writerOn(stream)
    stream.destroy(new Error('gone'))
    await nextTurn()
    writer.write('a')
    await writer.flush()
    expect(stats.lost).toBe(1)
  })

  it('survives a stream that throws', async () => {
    const stream = new Manual()
    stream.write = () => {
      throw new Error('broken')
    }
    const { writer, stats } = writerOn(stream)
    writer.write('a')
    await writer.flush()
    expect(stats.lost).toBe(1)
  })

  it('does not wait forever for a stream that never answers', async () => {
    fakeTimers()
    const stream = new Manual()
    const { writer, stats } = writerOn(stream)
    writer.write('a')
    const closed = writer.close()
    vi.advanceTimersByTime(2000)
    await closed
    expect(stats).toMatchObject({ written: 0, lost: 1 })
    // Its late answer changes nothing any more.
    stream.settle()
    await nextTurn()
    expect(stats).toMatchObject({ written: 0, lost: 1 })
  })

  it('writes what waits when it is closed, and loses what comes later', async () => {
    const stream = new Manual()
    const { writer, stats } = writerOn(stream)
    writer.write('a')
    const closed = writer.close()
    stream.settle()
    await closed
    writer.write('b')
    await writer.close()
    expect(stream.writes).toEqual(['a\n'])
    expect(stream.writableEnded).toBe(false)
    expect(stats).toMatchObject({ written: 1, lost: 1 })
  })

  it('puts one listener on a stream, however many write to it, and takes it back', async () => {
    const stream = new Manual()
    const writers = Array.from({ length: 20 }, () => writerOn(stream).writer)
    expect(stream.listenerCount('error')).toBe(1)
    for (const writer of writers) await writer.close()
    await nextTurn()
    expect(stream.listenerCount('error')).toBe(0)
  })

  it('leaves no listener on the process once all is written', async () => {
    const before = process.listenerCount('exit')
    const stream = new Manual()
    const { writer } = writerOn(stream)
    writer.write('a')
    expect(process.listenerCount('exit')).toBe(before + 1)
    const flushed = writer.flush()
    stream.settle()
    await flushed
    expect(process.listenerCount('exit')).toBe(before)
  })
})
