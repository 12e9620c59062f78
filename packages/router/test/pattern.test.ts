import fc from 'fast-check'
import { match } from 'path-to-regexp'
import { describe, expect, it } from 'vitest'
import { router } from '../src/index.ts'
import { captureParams } from '../src/pattern/captures.ts'
import { PathView } from '../src/pattern/path-view.ts'
import { readPattern } from '../src/pattern/pattern.ts'
import { type MixedSegment, matchMixed } from '../src/pattern/segment.ts'
import { fold } from '../src/pattern/text.ts'

const loose = { caseSensitive: false, strict: false }
const ok = { status: 200 }

/** Parameters of the path under one pattern; undefined when it does not match. */
function paramsOf(path: string, url: string, options = {}): Record<string, unknown> | undefined {
  return router([{ path, respond: ok }], options).explain({ url }).winner?.params
}

describe('path patterns', () => {
  it('take text, parameters and wildcards by segment', () => {
    expect(paramsOf('/users/:id', '/users/7')).toEqual({ id: '7' })
    expect(paramsOf('/users/:id', '/users')).toBeUndefined()
    expect(paramsOf('/users/:id', '/users/7/x')).toBeUndefined()
    expect(paramsOf('/files/*rest', '/files/a/b')).toEqual({ rest: ['a', 'b'] })
    expect(paramsOf('/files/*rest', '/files')).toBeUndefined()
    expect(paramsOf('/files/*rest/edit', '/files/a/b/edit')).toEqual({ rest: ['a', 'b'] })
    expect(paramsOf('/files/*rest/edit', '/files/edit')).toBeUndefined()
  })

  it('leave optional groups out or take them', () => {
    expect(paramsOf('/a{/:b}', '/a')).toEqual({})
    expect(paramsOf('/a{/:b}', '/a/x')).toEqual({ b: 'x' })
    expect(paramsOf('{/:opt}', '/')).toEqual({})
    expect(paramsOf('/files{/*rest}', '/files/a/b')).toEqual({ rest: ['a', 'b'] })
  })

  it('take several parameters in one segment', () => {
    expect(paramsOf('/:file.json', '/a.b.json')).toEqual({ file: 'a.b' })
    expect(paramsOf('/v:major.:minor', '/v1.2')).toEqual({ major: '1', minor: '2' })
    expect(paramsOf('/v:major.:minor', '/v1.2.3')).toEqual({ major: '1.2', minor: '3' })
    expect(paramsOf('/v:major.:minor', '/v1..')).toEqual({ major: '1', minor: '.' })
    expect(paramsOf('/v:major.:minor', '/v1.2.')).toBeUndefined()
    expect(paramsOf('/v:major.:minor', '/v1.')).toBeUndefined()
    expect(paramsOf('/v:major.:minor', '/v.1')).toBeUndefined()
  })

  it('decode parameters, and give them an object without a prototype', () => {
    const params = paramsOf('/:a/*b', '/x%20y/%C3%A9/%40')!
    expect(params).toEqual({ a: 'x y', b: ['é', '@'] })
    expect(Object.getPrototypeOf(params)).toBeNull()
    expect(Object.keys(paramsOf('/:__proto__', '/x')!)).toEqual(['__proto__'])
  })

  it('compare decoded, so that no spelling walks round a rule', () => {
    expect(paramsOf('/café', '/caf%C3%A9')).toEqual({})
    expect(paramsOf('/caf%C3%A9', '/CAF%c3%89')).toEqual({})
    expect(paramsOf('/caf%C3%A9', '/caf\xc3\xa9')).toEqual({})
    expect(paramsOf('/a@b', '/a%40b')).toEqual({})
  })

  it('ignore case and a trailing slash, as Express does, unless told otherwise', () => {
    expect(paramsOf('/Users/:id', '/uSERS/Ab/')).toEqual({ id: 'Ab' })
    expect(paramsOf('/users/', '/users')).toEqual({})
    expect(paramsOf('/Users', '/users', { caseSensitive: true })).toBeUndefined()
    expect(paramsOf('/users', '/users/', { strict: true })).toBeUndefined()
    expect(paramsOf('/users/', '/users/', { strict: true })).toEqual({})
    expect(paramsOf('/users/', '/users', { strict: true })).toBeUndefined()
    expect(paramsOf('/', '/', { strict: true })).toEqual({})
  })

  it('keep an encoded slash inside its segment, where it is let through', () => {
    const options = { paths: { encodedSlashes: 'pass' } }
    expect(paramsOf('/repos/:name', '/repos/a%2Fb', options)).toEqual({ name: 'a/b' })
    expect(paramsOf('/repos/:owner/:name', '/repos/a%2Fb', options)).toBeUndefined()
  })

  it('find what path-to-regexp finds', () => {
    const piece = fc.constantFrom('a', 'b', 'ab', 'a-b', ':@', 'a:@', ':@b', ':@-:@', 'x:@-:@b', '*@')
    const segment = fc.constantFrom('a', 'b', 'ab', 'aa', 'bb', 'a-b', '-', 'a--', 'xa-ab', '-b', 'A', 'xx-b-b')
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 5 }),
        fc.array(segment, { maxLength: 7 }),
        fc.boolean(),
        (pieces, segments, slash) => {
          let n = 0
          const text = `/${pieces.join('/')}`.replace(/@/g, () => `"p${n++}"`)
          const path = `/${segments.join('/')}${slash && segments.length > 0 ? '/' : ''}`
          const theirs = match(text)(path)
          const view = PathView.of(path, loose)!
          const ours = router([{ path: text, respond: ok }]).explain({ url: path }).winner
          // Its expressions let a second wildcard take less than it could; whatever they match, we match.
          if (pieces.filter((p) => p === '*@').length > 1) {
            if (theirs !== false) expect(ours).toBeDefined()
            return
          }
          expect(ours !== undefined).toBe(theirs !== false)
          if (theirs === false) return
          expect({ ...captureParams(readPattern(text, 'path', loose).variants[0]!, view, 'value') }).toEqual({
            ...theirs.params,
          })
        },
      ),
      { numRuns: 3_000 },
    )
  })
})

describe('fold', () => {
  it('keeps the length of every text, and folds parts as it folds the whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(fold(a + b)).toBe(fold(a) + fold(b))
        expect(fold(a)).toHaveLength(a.length)
      }),
    )
    expect(fold('ΑΣİ')).toHaveLength(3)
  })
})

describe('matchMixed', () => {
  it('is done with 100 kB, which backtracking without a bound never is', () => {
    const pattern = readPattern('/:a-:b-:c-:d', 'path', loose).variants[0]!
    const key = '-'.repeat(100_000)
    const before = performance.now()
    matchMixed(pattern.segments[0] as MixedSegment, key)
    expect(performance.now() - before).toBeLessThan(10_000)
  })
})
