import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameTracker, GOING_AWAY_FROM_CLIENT, GOING_AWAY_FROM_SERVER } from '../src/websocket-frames.ts'

interface Frame {
  readonly fin: boolean
  readonly opcode: number
  readonly mask: readonly number[] | undefined
  readonly length: number
  /** Length form to use where the shortest is not wanted: no form is shorter than needed. */
  readonly form: 0 | 2 | 8
}

/** A frame on the wire (RFC 6455 §5.2), its payload bytes chosen to look like headers. */
function encode(frame: Frame): Buffer {
  const { length, mask } = frame
  const form = length > 65_535 ? 8 : length > 125 && frame.form === 0 ? 2 : frame.form
  const head = [(frame.fin ? 0x80 : 0) | frame.opcode]
  const maskBit = mask === undefined ? 0 : 0x80
  if (form === 0) head.push(maskBit | length)
  else if (form === 2) head.push(maskBit | 126, length >> 8, length & 0xff)
  else head.push(maskBit | 127, 0, 0, 0, 0, 0, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff)
  return Buffer.concat([Buffer.from([...head, ...(mask ?? [])]), Buffer.alloc(length, 0x81)])
}

const byte = fc.integer({ min: 0, max: 255 })
const frame: fc.Arbitrary<Frame> = fc.record({
  fin: fc.boolean(),
  opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
  mask: fc.option(fc.tuple(byte, byte, byte, byte), { nil: undefined }),
  length: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000) },
  ),
  form: fc.constantFrom(0 as const, 2 as const, 8 as const),
})

/** Cuts bytes at places given as fractions. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => Math.floor(place * bytes.length)), bytes.length].sort((a, b) => a - b)
  return at.slice(1).map((end, i) => bytes.subarray(at[i]!, end))
}

const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })

describe('FrameTracker', () => {
  test('is at a boundary exactly behind each whole frame, wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 12 }), places, (frames, cuts) => {
        const encoded = frames.map(encode)
        const ends = new Set([0])
        let end = 0
        for (const each of encoded) ends.add((end += each.length))
        const tracker = new FrameTracker()
        let at = 0
        for (const chunk of cut(Buffer.concat(encoded), cuts)) {
          expect(tracker.follow(chunk)).toBe(chunk.length)
          at += chunk.length
          expect(tracker.atBoundary).toBe(ends.has(at))
        }
      }),
    )
  })

  test('told to stop, follows to the next boundary and not one byte further', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 8 }),
        places,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (frames, cuts, place) => {
          const encoded = frames.map(encode)
          const bytes = Buffer.concat(encoded)
          const start = Math.floor(place * (bytes.length - 1))
          let expected = 0
          for (const each of encoded) if (expected <= start) expected += each.length
          const tracker = new FrameTracker()
          tracker.follow(bytes.subarray(0, start))
          let followed = start
          for (const chunk of cut(bytes.subarray(start), cuts)) {
            if (chunk.length === 0) continue
            const taken = tracker.follow(chunk, true)
            followed += taken
            if (taken < chunk.length || tracker.atBoundary) break
          }
          expect(followed).toBe(expected)
          expect(tracker.atBoundary).toBe(true)
        },
      ),
    )
  })

  test('follows a stream byte by byte to the same boundaries', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ ...smallFrame }), { minLength: 1, maxLength: 6 }), (frames) => {
        const encoded = frames.map((each) => encode(each as Frame))
        const tracker = new FrameTracker()
        let boundaries = 0
        for (const value of Buffer.concat(encoded)) {
          tracker.follow(Buffer.of(value))
          if (tracker.atBoundary) boundaries++
        }
        expect(boundaries).toBe(frames.length)
      }),
    )
  })

  test('the Close frames that it makes room for are whole frames with status 1001', () => {
    for (const close of [GOING_AWAY_FROM_SERVER, GOING_AWAY_FROM_CLIENT]) {
      const tracker = new FrameTracker()
      expect(tracker.follow(close, true)).toBe(close.length)
      expect(tracker.atBoundary).toBe(true)
      expect(close[0]).toBe(0x88)
      expect(close.readUInt16BE(close.length - 2)).toBe(1001)
    }
    expect(GOING_AWAY_FROM_SERVER[1]! & 0x80).toBe(0)
    expect(GOING_AWAY_FROM_CLIENT[1]! & 0x80).toBe(0x80)
  })
})

const smallFrame = {
  fin: fc.boolean(),
  opcode: fc.constantFrom(0, 1, 2, 9),
  mask: fc.option(fc.tuple(byte, byte, byte, byte), { nil: undefined }),
  length: fc.integer({ min: 0, max: 140 }),
  form: fc.constantFrom(0 as const, 2 as const, 8 as const),
}
