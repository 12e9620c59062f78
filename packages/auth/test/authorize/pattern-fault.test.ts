import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { patternFault } from '../../src/authorize/pattern-fault.ts'

describe('patterns for claims', () => {
  it.each([
    /^acme$/,
    /^acme-/i,
    /@acme\.com$/,
    /^(?:read|write)(?:,(?:read|write))*$/,
    /^[a-z]+-[a-z]+-[0-9]+$/,
    /^([a-z]+)-([0-9]+)$/,
    /^spiffe:\/\/example\.org\/[^/]+\/[^/]+$/,
    /^[^@]+@(?:[a-z]+\.)?acme\.com$/,
    /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    /^.*foo.*bar/s,
    /^(?:[a-z]+,)*$/,
    /^(?!root$)\p{L}+$/u,
  ])('%s is taken', (pattern) => {
    expect(patternFault(pattern)).toBeUndefined()
  })

  it.each([
    [/(a+)+$/, 'repetition'],
    [/^(?:\w+\s?)*$/, 'repetition'],
    [/(.*)*x/, 'repetition'],
    [/^(a+){10}$/, 'repetition'],
    [/(?:a?){30}x/, 'repetition'],
    [/(a|a)*$/, 'begin alike'],
    [/(A|a)+$/i, 'begin alike'],
    [/([a-z]|[0-9])+$/, 'begin alike'],
    [/(?:(?:a|b)|b)+$/, 'begin alike'],
    [/(a*b|b)+c/, 'begin alike'],
    [/^(b*.)*$/, 'repetition'],
    [/^.*.*.*x/, 'too many ways'],
    [/a*a*x/, 'too many ways'],
    [/^a*a*a*$/, 'too many ways'],
    [new RegExp(`${'a?'.repeat(30)}x`), 'too many ways'],
    [/(a)\1/, 'refers back'],
    [/(?<x>a)\k<x>/, 'refers back'],
    [/(?<=a+)b/, 'looks behind'],
    [/x/g, 'flags'],
    [/x/y, 'flags'],
    [/^x$/m, 'flags'],
  ])('%s is refused', (pattern, why) => {
    expect(patternFault(pattern)).toContain(why)
  })

  // Without the check one of these in some thousand takes longer than a lifetime: the test then never ends.
  it('that are taken end soon, whatever the text', () => {
    const pieces = ['a', 'b', '.', '[ab]', '[^b]', '\\w', '(?:', '(', '(?=', '(?!', ')', ')', '|', '*', '+', '?', '{2}']
    const source = fc.array(fc.constantFrom(...pieces, '{0,3}', '{2,}', '^', '$', '\\.'), { maxLength: 14 })
    const unit = fc.constantFrom('a', 'b', 'ab', 'aab', 'ba')
    fc.assert(
      fc.property(source, unit, fc.boolean(), (parts, text, anchored) => {
        const pattern = patternOf(`${anchored ? '^' : ''}${parts.join('')}`)
        fc.pre(pattern !== undefined && patternFault(pattern) === undefined)
        const startedAt = performance.now()
        pattern!.test(`${text.repeat(Math.floor(1_023 / text.length))}!`)
        // Four million steps are some 10 ms; this is for machines that do something else meanwhile.
        expect(performance.now() - startedAt).toBeLessThan(1_000)
      }),
      { numRuns: 3_000 },
    )
  })
})

function patternOf(source: string): RegExp | undefined {
  try {
    return new RegExp(source)
  } catch {
    return undefined
  }
}
