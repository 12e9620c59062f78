import { faultsOf } from '@postern/contracts'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { type TokenSourceKind, tokenSourcesOption } from '../../src/credentials/token-sources.ts'

const ALL: readonly TokenSourceKind[] = ['header', 'query', 'cookie', 'subprotocol', 'function']

function schemaOf(kinds: readonly TokenSourceKind[]) {
  return v.strictObject({ from: tokenSourcesOption(kinds, 'header') })
}

/** Paths and messages of what is wrong. */
function faults(from: unknown, kinds = ALL): string[] {
  const result = v.safeParse(schemaOf(kinds), { from })
  return result.success ? [] : faultsOf(result.issues).map((fault) => `${fault.path}: ${fault.message}`)
}

describe('the option for token sources', () => {
  test('takes one source or a list of them', () => {
    const own = (): undefined => undefined
    const good = ['header', { header: 'X-Key' }, { header: 'authorization', scheme: 'ApiKey' }, { query: 'k' }]
    const list = [...good, { cookie: '__Host-s', origins: ['https://a.test'] }, { subprotocol: 'bearer' }, own]
    for (const from of list) expect(v.parse(schemaOf(ALL), { from })).toEqual({ from: [from] })
    expect(v.parse(schemaOf(ALL), { from: list })).toEqual({ from: list })
    expect(v.parse(schemaOf(ALL), { from: { cookie: 'a', origins: false } })).toBeDefined()
  })

  test('has its default where it is left out, and is missing where it has none', () => {
    expect(v.parse(schemaOf(ALL), {})).toEqual({ from: ['header'] })
    expect(v.parse(schemaOf(ALL), { from: undefined })).toEqual({ from: ['header'] })
    expect(v.safeParse(v.strictObject({ from: tokenSourcesOption(ALL) }), {}).success).toBe(false)
  })

  test('tells all that is wrong, by path', () => {
    expect(
      faults([
        'Header',
        { header: 'a b', shema: 'x' },
        { header: 'x-key', scheme: 'a b' },
        { query: '' },
        { cookie: 'a=b' },
        { cookie: 'a', origins: ['https://a.test/path', 'a.test', 'https://b.test', 7] },
        { subprotocol: 'a,b' },
        async () => 'abc',
      ]),
    ).toEqual([
      'from[0]: not a source of tokens; write "header", { header, scheme } or { query } or { cookie, origins } or { subprotocol } or (req) => string | undefined',
      'from[1].shema: unknown option; did you mean "scheme"?',
      'from[1].header: not 1 to 128 letters, digits and other characters that names are made of',
      'from[2].scheme: not 1 to 128 letters, digits and other characters that names are made of',
      'from[3].query: not a name of 1 to 128 characters',
      'from[4].cookie: not 1 to 128 letters, digits and other characters that names are made of',
      'from[5].origins[0]: not an origin; write https://app.example.com, with its port where that is not 443',
      'from[5].origins[1]: not an origin; write https://app.example.com, with its port where that is not 443',
      'from[5].origins[3]: not an origin; write https://app.example.com, with its port where that is not 443',
      'from[6].subprotocol: not 1 to 128 letters, digits and other characters that names are made of',
      'from[7]: an async function; tokens are found synchronously',
    ])
  })

  test('refuses what is no source', () => {
    for (const from of [
      null,
      7,
      true,
      {},
      { header: 'a', cookie: 'b' },
      [['header']],
      { __proto__: { header: 'a' } },
    ]) {
      expect(faults(from), JSON.stringify(from)).toEqual([
        expect.stringMatching(/^from(\[0\])?: not a source of tokens/),
      ])
    }
    expect(faults([])).toEqual(['from: not a source or a list of 1 to 8 of them'])
    expect(faults(Array.from({ length: 9 }, (_, i) => ({ query: `k${i}` })))).toHaveLength(1)
  })

  test('refuses kinds that the scheme does not read', () => {
    expect(faults({ query: 'k' }, ['header'])).toEqual([
      'from: not a source of tokens; write "header", { header, scheme }',
    ])
  })

  test('refuses the same place twice, which no request could fill rightly', () => {
    expect(faults(['header', { header: 'Authorization', scheme: 'bearer' }])).toEqual([
      'from[1]: the same place as the source at 0',
    ])
    expect(
      faults([
        { header: 'authorization', scheme: 'A' },
        { header: 'authorization', scheme: 'B' },
      ]),
    ).toEqual([])
    expect(faults([{ cookie: 'a' }, { cookie: 'A' }])).toEqual([])
  })

  test('names the right kind for fields that are lists', () => {
    expect(faults({ header: 'Cookie' })).toEqual([
      'from.header: a field that is a list; write { cookie: "<its name>" }',
    ])
  })
})
