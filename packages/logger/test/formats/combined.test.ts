import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogEntry } from '../../src/entry.ts'
import { combinedLine } from '../../src/formats/combined.ts'

const COMBINED =
  /^(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$/

function entry(parts: Partial<LogEntry> = {}): LogEntry {
  return {
    time: '2026-03-05T10:00:01.500Z',
    method: 'GET',
    path: '/products',
    status: 200,
    client: '10.1.2.3',
    httpVersion: '1.1',
    totalMs: 2000,
    ...parts,
  } as LogEntry
}

describe('combinedLine', () => {
  it('writes the fields in Apache’s order, with the time of arrival', () => {
    const line = combinedLine(
      entry({ query: 'page=2', subject: 'anna', bytesOut: 512, referer: 'https://shop.example/', userAgent: 'curl/8' }),
    )
    expect(line).toBe(
      '10.1.2.3 - anna [05/Mar/2026:09:59:59 +0000] "GET /products?page=2 HTTP/1.1" 200 512 "https://shop.example/" "curl/8"',
    )
  })

  it('writes a dash for what is not known', () => {
    expect(combinedLine(entry({ client: '' }))).toBe(
      '- - - [05/Mar/2026:09:59:59 +0000] "GET /products HTTP/1.1" 200 - "-" "-"',
    )
  })

  it('keeps its columns whatever the values are', () => {
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(text, text, text, text, (path, subject, referer, userAgent) => {
        const line = combinedLine(entry({ path: `/${path}`, subject, referer, userAgent }))
        const match = COMBINED.exec(line)
        expect(match?.[6]).toBe('200')
        expect(match?.[3]).not.toMatch(/\s/)
        expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
      }),
      { numRuns: 1000 },
    )
  })
})
