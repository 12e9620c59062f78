import { expect } from 'vitest'
import { type CaseGroup, ok, withContent } from '../case.ts'
import type { ClientAnswer, Stack } from '../stack.ts'

const LETTERS = 'abcdefghij'

/** Stores ten letters and asks for ranges of them. */
async function ask({ origin, send }: Stack, range: string, ...lines: string[]): Promise<ClientAnswer> {
  origin.answerWith(
    withContent(LETTERS, ok('Cache-Control: max-age=60', 'ETag: "a"', 'Content-Type: text/x', ...lines)),
  )
  await send()
  const got = await send('GET /', [`Range: ${range}`])
  expect(origin.requests).toHaveLength(1)
  return got
}

interface BodyPart {
  readonly fields: Readonly<Record<string, string>>
  readonly text: string
}

/** The parts of a multipart body, read strictly (RFC 2046 §5.1.1). */
function partsOf(got: ClientAnswer): BodyPart[] {
  const boundary = /^multipart\/byteranges; *boundary="?([^"]{1,70})"?$/.exec(got.headers['content-type'] ?? '')?.[1]
  expect(boundary, got.headers['content-type']).toBeDefined()
  const [preamble, ...pieces] = `\r\n${got.text}`.split(`\r\n--${boundary}`)
  expect(preamble).toBe('')
  expect(pieces.pop()).toMatch(/^--(?:\r\n)?$/)
  return pieces.map((piece) => {
    const blank = piece.indexOf('\r\n\r\n')
    const fields = Object.create(null) as Record<string, string>
    for (const line of piece.slice(2, blank).split('\r\n')) {
      const colon = line.indexOf(':')
      fields[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    return { fields, text: piece.slice(blank + 4) }
  })
}

export const multipart: CaseGroup = {
  title: 'Several ranges (RFC 9110 §14.6, §15.3.7.2)',
  file: 'multipart',
  cases: [
    {
      id: '9110-15.3.7.2-multipart',
      level: 'MUST',
      says: 'Several ranges come as multipart/byteranges, each part with its Content-Range, and the head has none.',
      async run(stack) {
        const got = await ask(stack, 'bytes=0-1, 8-')
        expect(got.status).toBe(206)
        expect(got.headers['content-range']).toBeUndefined()
        expect(got.headers['content-length']).toBe(String(got.body.length))
        expect(partsOf(got).map((each) => [each.fields['content-range'], each.text])).toEqual([
          ['bytes 0-1/10', 'ab'],
          ['bytes 8-9/10', 'ij'],
        ])
      },
    },
    {
      id: '9110-15.3.7.2-part-type',
      level: 'SHOULD',
      says: 'Each part has the Content-Type of the representation.',
      async run(stack) {
        const parts = partsOf(await ask(stack, 'bytes=0-1, 8-'))
        expect(parts.map((each) => each.fields['content-type'])).toEqual(['text/x', 'text/x'])
      },
    },
    {
      id: '9110-15.3.7.2-order',
      level: 'SHOULD',
      says: 'Parts come in the order in which they were asked for.',
      async run(stack) {
        const parts = partsOf(await ask(stack, 'bytes=8-9, 0-1'))
        expect(parts.map((each) => each.text)).toEqual(['ij', 'ab'])
      },
    },
    {
      id: '9110-15.3.7.2-single',
      level: 'MUST',
      says: 'A request for one range never gets a multipart answer.',
      async run(stack) {
        const got = await ask(stack, 'bytes=0-1')
        expect([got.status, got.headers['content-type'], got.text]).toEqual([206, 'text/x', 'ab'])
      },
    },
    {
      id: '9110-15.3.7.2-one-left',
      level: 'MAY',
      says: 'When only one of several ranges can be satisfied, it comes alone.',
      async run(stack) {
        const got = await ask(stack, 'bytes=0-1, 50-60')
        expect([got.status, got.headers['content-range'], got.text]).toEqual([206, 'bytes 0-1/10', 'ab'])
      },
    },
    {
      id: '9110-15.3.7.2-coalesce',
      level: 'MAY',
      says: 'Ranges that overlap or touch are joined.',
      async run(stack) {
        const got = await ask(stack, 'bytes=0-3, 2-5')
        expect([got.status, got.headers['content-range'], got.text]).toEqual([206, 'bytes 0-5/10', 'abcdef'])
      },
    },
    {
      id: '9110-14.2-many',
      level: 'MAY',
      says: 'Very many ranges, or many that overlap, are not answered one by one: no answer is much longer than the content.',
      async run(stack) {
        const many = Array.from({ length: 500 }, (_, i) => `${i % 10}-${i % 10}`).join(',')
        const got = await ask(stack, `bytes=${many}`)
        expect([200, 206, 416]).toContain(got.status)
        expect(got.body.length).toBeLessThan(2_000)
      },
    },
    {
      id: '9110-15.3.7.2-boundary',
      level: 'MUST',
      says: 'The boundary does not occur in the content, also not when the content imitates an earlier one.',
      async run({ origin, send }) {
        origin.answerWith(withContent(LETTERS, ok('Cache-Control: max-age=60')))
        await send('GET /a')
        const first = await send('GET /a', ['Range: bytes=0-1,8-9'])
        const boundary = /boundary="?([^"]+)"?/.exec(first.headers['content-type'] ?? '')?.[1] ?? ''
        const trap = `x\r\n--${boundary}\r\n\r\ny`
        origin.answerWith(withContent(`${trap}${LETTERS}${trap}`, ok('Cache-Control: max-age=60')))
        await send('GET /b')
        const got = await send('GET /b', [`Range: bytes=0-${trap.length - 1},${trap.length + 5}-`])
        expect(partsOf(got).map((each) => each.text)).toEqual([trap, `${LETTERS.slice(5)}${trap}`])
      },
    },
  ],
}
