import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { generateApiKey, hashApiKey } from '../../src/api-key/generate.ts'
import { refusalOf } from '../support/scheme-server.ts'

describe('generateApiKey()', () => {
  test('makes a key of the prefix and 43 letters and digits, with its hash', () => {
    const { key, hash, id } = generateApiKey({ prefix: 'acme_live_' })
    expect(key).toMatch(/^acme_live_[0-9A-Za-z]{43}$/)
    expect(hash).toBe(createHash('sha256').update(key).digest('hex'))
    expect(id).toMatch(/^key_[0-9A-Za-z]{17}$/)
    expect(key).not.toContain(id.slice(4))
  })

  test('never makes the same twice, and has use for every character everywhere', () => {
    const keys = Array.from({ length: 2_000 }, () => generateApiKey().key)
    expect(new Set(keys).size).toBe(2_000)
    // 43 characters of 62 hold hardly more than 256 bits, so that the first of them is any but the last one or two.
    for (const at of [1, 20, 42]) expect(new Set(keys.map((key) => key[at])).size).toBe(62)
  })

  test('refuses a prefix that would have to be escaped somewhere', () => {
    for (const prefix of ['a b', 'a/b', 'ä', 'a"', 'a'.repeat(65), 5]) {
      expect(refusalOf(() => generateApiKey({ prefix: prefix as string })).faults[0]?.path).toBe('prefix')
    }
  })
})

describe('hashApiKey()', () => {
  test('is the SHA-256 of the key (FIPS 180-4, "abc")', () => {
    expect(hashApiKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  test('is that of its UTF-8 for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => {
        expect(hashApiKey(key)).toBe(createHash('sha256').update(key, 'utf8').digest('hex'))
      }),
    )
  })
})
