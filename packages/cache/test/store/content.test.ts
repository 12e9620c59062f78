import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentMemoryBytes, keepContent } from '../../src/store/content.ts'

const MEBIBYTE = 1_048_576

describe('content that is kept', () => {
  it('does not keep a large buffer alive for a small part of it', () => {
    const large = Buffer.alloc(MEBIBYTE, 'x')
    const [kept] = keepContent([large.subarray(500, 510)])
    expect(kept?.buffer.byteLength).toBe(10)
    expect(Buffer.from(kept!).toString()).toBe('xxxxxxxxxx')
  })

  it('does not keep the pool alive that small buffers of Node share', () => {
    const [kept] = keepContent([Buffer.from('short')])
    expect(kept?.buffer.byteLength).toBe(5)
  })

  it('keeps a buffer of its own as it is, without a copy', () => {
    for (const bytes of [100, 20_000, MEBIBYTE]) {
      const own = Buffer.allocUnsafeSlow(bytes)
      expect(keepContent([own])[0]).toBe(own)
    }
  })

  it('keeps what a read from a socket leaves when its head is cut off, without a copy', () => {
    const read = Buffer.allocUnsafeSlow(65_536).subarray(300)
    expect(keepContent([read])[0]).toBe(read)
  })

  it('puts small pieces together', () => {
    const pieces = Array.from({ length: 1_000 }, () => Buffer.alloc(100, 'y'))
    const kept = keepContent(pieces)
    expect(kept).toHaveLength(1)
    expect(kept[0]?.byteLength).toBe(100_000)
  })

  it('leaves large pieces apart, however many', () => {
    const pieces = Array.from({ length: 40 }, () => Buffer.allocUnsafeSlow(65_536))
    expect(keepContent(pieces)).toEqual(pieces)
  })

  it('is empty when there is nothing in it', () => {
    expect(keepContent([])).toEqual([])
    expect(keepContent([new Uint8Array(0), Buffer.alloc(0)])).toEqual([])
    expect(contentMemoryBytes([])).toBe(0)
  })

  it('is the same bytes in the same order, and counts all that it holds on to', () => {
    const slab = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, at) => (at * 7) % 256))
    const pieces = fc.array(
      fc.tuple(fc.nat(200_000), fc.oneof(fc.nat(200), fc.nat(40_000)), fc.boolean()).map(([from, length, own]) => {
        const part = slab.subarray(from, from + length)
        return own ? new Uint8Array(part) : part
      }),
      { maxLength: 30, size: 'max' },
    )
    fc.assert(
      fc.property(pieces, (given) => {
        const kept = keepContent(given)
        expect(Buffer.concat(kept).equals(Buffer.concat(given))).toBe(true)
        const buffers = kept.reduce((bytes, piece) => bytes + piece.buffer.byteLength, 0)
        const bytes = kept.reduce((sum, piece) => sum + piece.byteLength, 0)
        expect(buffers).toBeLessThanOrEqual(bytes * 1.0625)
        expect(contentMemoryBytes(kept)).toBeGreaterThanOrEqual(buffers)
      }),
    )
  })
})
