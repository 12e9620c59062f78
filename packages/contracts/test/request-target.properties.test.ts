import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isRefusedTarget, type PathPolicy, parseRequestTarget } from '../src/index.ts'

/** How an upstream may read a path. Each member is something that real servers do. */
interface Reading {
  /** Times it decodes percent-encoding. */
  readonly decodes: number
  /** Takes a backslash for a slash. */
  readonly backslashes?: boolean
  /** Decodes over-long UTF-8. */
  readonly overlong?: boolean
  /** Ends the path at a NUL. */
  readonly nul?: boolean
  /** Strips path parameters from each segment, before or after it decodes. */
  readonly parameters?: 'before' | 'after'
}

/** The segments that the upstream routes by. */
function segmentsAsRead(path: string, reading: Reading): string[] {
  let text = path
  if (reading.parameters === 'before') text = withoutParameters(text)
  for (let i = 0; i < reading.decodes; i++) text = percentDecoded(text)
  if (reading.parameters === 'after') text = withoutParameters(text)
  if (reading.overlong === true) text = overlongDecoded(text)
  if (reading.backslashes === true) text = text.replaceAll('\\', '/')
  if (reading.nul === true) text = text.split('\0')[0]!
  const out: string[] = []
  for (const segment of text.split('/')) {
    if (segment === '..') out.pop()
    else if (segment !== '.' && segment !== '') out.push(segment)
  }
  return out
}

function percentDecoded(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function withoutParameters(text: string): string {
  return text
    .split('/')
    .map((segment) => segment.split(';')[0]!)
    .join('/')
}

/** Two, three and four bytes that stand for one ASCII character. */
function overlongDecoded(text: string): string {
  return text.replaceAll(
    /[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x81][\x80-\xbf]|\xf0\x80[\x80-\x81][\x80-\xbf]/g,
    (bytes) => {
      const [low, high] = [bytes.charCodeAt(bytes.length - 1) & 0x3f, bytes.charCodeAt(bytes.length - 2) & 0x3f]
      return String.fromCharCode(((high & 1) << 6) | low)
    },
  )
}

/** The segments of the path as it was matched here: nothing resolved, nothing merged, each decoded once. */
function segmentsAsMatched(path: string): string[] {
  const segments = path.split('/').slice(1)
  if (segments.at(-1) === '') segments.pop()
  return segments.map(percentDecoded)
}

const PIECES = [
  ...[
    '/',
    '/',
    '/',
    '//',
    '.',
    '..',
    '...',
    'admin',
    'ADMIN',
    'a',
    'public',
    '\\',
    ';',
    ';x=1',
    ' ',
    '~',
    '%',
    '@',
    ':',
  ],
  ...[
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%5c',
    '%5C',
    '%61',
    '%41',
    '%3b',
    '%20',
    '%00',
    '%0a',
    '%23',
    '%3f',
    '%C3%A9',
    '%80',
  ],
  ...['%25', '25', '2e', '2f', '5c', '%252e', '%252f', '%255c', '%25252e', '%u002e', '%c0%ae', '%c0%af', '%e0%80%af'],
  ...['%f0%80%80%ae', '\xc0\xae', '\xe0\x80\xaf', '%e0', '\x80', '\xaf', '%af', '\xe9', '\u012f', '\0', '#', '?q'],
]

const hostilePath = fc
  .array(
    fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...PIECES) }, fc.string({ unit: 'binary-ascii', maxLength: 3 })),
    {
      maxLength: 12,
    },
  )
  .map((parts) => `/${parts.join('')}`)

/** `/admin` in one of many disguises. */
const disguisedAdmin = fc
  .tuple(
    fc.constantFrom(
      '/',
      '//',
      '/./',
      '/x/../',
      '/%2e/',
      '/x/%2e%2e/',
      '/x/..;/',
      '/x/..%2f',
      '/x%2f..%2f',
      '/\\',
      '/%5c',
      '/;/',
    ),
    fc
      .tuple(
        ...[...'admin'].map((letter) =>
          fc.constantFrom(letter, letter, letter.toUpperCase(), escaped(letter), overlong(letter)),
        ),
      )
      .map((letters) => letters.join('')),
    fc.constantFrom('', '/', '/.', '/x/..', '%00', '%00.css', ';x', '%3bx', '\\', '%2f', '%5c', '#', '//', '/users'),
  )
  .map((parts) => parts.join(''))

function escaped(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`
}

function overlong(letter: string): string {
  const code = letter.charCodeAt(0)
  return `%${(0xc0 | (code >> 6)).toString(16)}%${(0x80 | (code & 0x3f)).toString(16)}`
}

const ONCE: readonly Reading[] = [
  { decodes: 0 },
  { decodes: 1 },
  { decodes: 1, backslashes: true },
  { decodes: 1, overlong: true },
  { decodes: 1, overlong: true, backslashes: true, nul: true },
]

function accepted(raw: string, policy: PathPolicy = {}): string | undefined {
  const target = parseRequestTarget(raw, policy)
  return isRefusedTarget(target) ? undefined : target.path
}

const anyPath = fc.oneof(hostilePath, disguisedAdmin)
const RUNS = { numRuns: 20_000 }

describe('an accepted path', () => {
  test('is forwarded as it came', () => {
    fc.assert(
      fc.property(anyPath, (raw) => {
        const target = parseRequestTarget(raw)
        if (!isRefusedTarget(target)) expect(target.path + target.query).toBe(raw)
      }),
      RUNS,
    )
  })

  test('has the segments that were matched, however an upstream that decodes once resolves it', () => {
    let reached = 0
    fc.assert(
      fc.property(anyPath, (raw) => {
        const path = accepted(raw)
        if (path === undefined) return
        reached++
        for (const reading of ONCE) {
          const matched = reading.decodes === 0 ? segmentsAsMatched(path).length : segmentsAsMatched(path)
          const read = segmentsAsRead(path, reading)
          expect(reading.decodes === 0 ? read.length : read).toEqual(matched)
        }
      }),
      RUNS,
    )
    expect(reached).toBeGreaterThan(500)
  })

  test('is /admin to an upstream only when it is spelled /admin, case aside', () => {
    let reached = 0
    fc.assert(
      fc.property(disguisedAdmin, (raw) => {
        const path = accepted(raw)
        if (path === undefined) return
        for (const reading of ONCE) {
          if (segmentsAsRead(path, reading)[0]?.toLowerCase() !== 'admin') continue
          reached++
          expect(path.toLowerCase()).toMatch(/^\/admin(?:\/|$)/)
        }
      }),
      RUNS,
    )
    expect(reached).toBeGreaterThan(50)
  })

  test('is /admin to a servlet container only so, when path parameters are refused', () => {
    fc.assert(
      fc.property(disguisedAdmin, fc.constantFrom('before' as const, 'after' as const), (raw, parameters) => {
        const path = accepted(raw, { pathParameters: 'refuse' })
        if (path === undefined) return
        if (segmentsAsRead(path, { decodes: 1, parameters })[0]?.toLowerCase() !== 'admin') return
        expect(path.toLowerCase()).toMatch(/^\/admin(?:\/|$)/)
      }),
      RUNS,
    )
  })

  test('has no dot segment and no further slash for an upstream that decodes twice', () => {
    fc.assert(
      fc.property(anyPath, (raw) => {
        const path = accepted(raw)
        if (path === undefined) return
        const read = segmentsAsRead(path, { decodes: 2, backslashes: true })
        expect(read).toHaveLength(segmentsAsMatched(path).length)
      }),
      RUNS,
    )
  })

  test('holds no dot segment under the loosest policy either', () => {
    const loose: PathPolicy = { encodedSlashes: 'pass', repeatedSlashes: 'pass', encodedUnreserved: 'pass' }
    fc.assert(
      fc.property(anyPath, (raw) => {
        const path = accepted(raw, loose)
        if (path === undefined) return
        const once = percentDecoded(path).replaceAll('\\', '/')
        for (const segment of once.split('/')) expect(segment.split(';')[0]).not.toMatch(/^\.{1,2}$/)
      }),
      RUNS,
    )
  })

  test('stays accepted when it is parsed again', () => {
    fc.assert(
      fc.property(anyPath, (raw) => {
        const path = accepted(raw)
        if (path !== undefined) expect(accepted(path)).toBe(path)
      }),
      RUNS,
    )
  })
})

test('every path made of plain, encoded and UTF-8 segments passes', () => {
  const segment = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((text) => !/[\p{Cc}\\/%]/u.test(text) && text !== '.' && text !== '..' && !/^\.{1,2};/.test(text))
    .map((text) => encodeURIComponent(text.toWellFormed()))
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (segments) => {
      const path = `/${segments.join('/')}`
      expect(parseRequestTarget(path)).toEqual({ path, query: '', authority: undefined })
    }),
  )
})

test('no input at all makes it throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (raw) => {
      expect(() => parseRequestTarget(raw)).not.toThrow()
    }),
    RUNS,
  )
})
