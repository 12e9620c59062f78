import type { HeaderEdit, QueryEdit } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editQuery, editRequestHeaders, editResponseHeaders, headerEditList } from '../../src/message/edits.ts'

describe('editQuery()', () => {
  it.each([
    ['?a=1&b=2', { op: 'set', name: 'a', value: 'x' }, '?b=2&a=x'],
    ['?a=1&b=2', { op: 'append', name: 'a', value: 'x' }, '?a=1&b=2&a=x'],
    ['?a=1&b=2&a=3', { op: 'remove', name: 'a' }, '?b=2'],
    ['?a=1', { op: 'remove', name: 'a' }, ''],
    ['', { op: 'set', name: 'a', value: '1' }, '?a=1'],
    ['?', { op: 'set', name: 'a', value: '1' }, '?a=1'],
    ['?', { op: 'remove', name: 'a' }, '?'],
    ['?a', { op: 'remove', name: 'a' }, ''],
    ['?%61=1&b', { op: 'remove', name: 'a' }, '?b'],
    ['?a+b=1&a%20b=2&c', { op: 'remove', name: 'a b' }, '?c'],
    ['?%zz=1&a', { op: 'remove', name: '%zz' }, '?a'],
    ['?a=1', { op: 'set', name: 'b&c', value: 'd&e=f #' }, '?a=1&b%26c=d%26e%3Df%20%23'],
    ['?a=1', { op: 'set', name: '__proto__', value: '\r\nX: 1' }, '?a=1&__proto__=%0D%0AX%3A%201'],
  ] as const)('%j, %j → %j', (query, edit, expected) => {
    expect(editQuery(query, [edit])).toBe(expected)
  })

  const part = fc.stringMatching(/^[!-%'-~]{0,12}$/).filter((text) => !text.includes('#'))
  const query = fc.array(part, { maxLength: 8 }).map((parts) => (parts.length === 0 ? '' : `?${parts.join('&')}`))

  it('leaves everything but its own parameter byte for byte, in order', () => {
    fc.assert(
      fc.property(query, fc.constantFrom<QueryEdit['op']>('set', 'append', 'remove'), (text, op) => {
        const edited = editQuery(text, [{ op, name: 'not there', value: '1' }])
        const added = op === 'remove' ? '' : 'not%20there=1'
        if (added === '') expect(edited).toBe(text)
        else expect(edited).toBe(text.length > 1 ? `${text}&${added}` : `?${added}`)
      }),
    )
  })

  it('removes its own parameter in every encoding, and adds it once', () => {
    const own = fc.constantFrom('k=1', 'k', 'k=', '%6b=2', '%6B=x=y', 'k=%zz')
    const foreign = fc.constantFrom('kk=1', 'K=1', '', '=k', 'a=k', '%256b=1', 'k%00=1', '+k=1')
    fc.assert(
      fc.property(fc.array(fc.oneof(own, foreign), { minLength: 1, maxLength: 8 }), (parts) => {
        const rest = parts.filter((each) => !/^(?:k|%6b)(?:=|$)/i.test(each) || each.startsWith('K'))
        fc.pre(parts.join('&') !== '')
        expect(editQuery(`?${parts.join('&')}`, [{ op: 'set', name: 'k', value: 'v' }])).toBe(
          `?${[...rest, 'k=v'].join('&')}`,
        )
      }),
    )
  })
})

describe('editRequestHeaders()', () => {
  const edited = (headers: string[], ...edits: HeaderEdit[]) => {
    editRequestHeaders(headers, edits)
    return headers
  }

  it('sets in place of every line of the name, in any spelling that an upstream could take for it', () => {
    expect(
      edited(['X-Team', 'a', 'x-b', '1', 'x_team', 'b', 'X-TEAM', 'c'], { op: 'set', name: 'X-Team', value: 'shop' }),
    ).toEqual(['x-b', '1', 'x-team', 'shop'])
  })

  it('appends behind what is there', () => {
    expect(edited(['x-a', '1'], { op: 'append', name: 'X-A', value: '2' })).toEqual(['x-a', '1', 'x-a', '2'])
  })

  it('removes every line of the name and no other', () => {
    expect(edited(['x-a', '1', 'x-ab', '2', 'X_A', '3'], { op: 'remove', name: 'x-a' })).toEqual(['x-ab', '2'])
  })

  it('leaves other lines as they are, in order', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,10}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), (lines) => {
        const others = lines.filter(([each]) => each.toLowerCase().replaceAll('_', '-') !== 'x-own')
        const result = edited(lines.flat(), { op: 'set', name: 'x-own', value: 'v' })
        expect(result).toEqual([...others.flat(), 'x-own', 'v'])
      }),
    )
  })
})

describe('editResponseHeaders()', () => {
  it('sets, appends and removes', () => {
    const headers: Record<string, string | string[]> = { server: 'x', 'set-cookie': ['a=1'], vary: 'a' }
    editResponseHeaders(headers, [
      { op: 'remove', name: 'Server' },
      { op: 'append', name: 'Set-Cookie', value: 'b=2' },
      { op: 'append', name: 'vary', value: 'b' },
      { op: 'append', name: 'x-new', value: '1' },
      { op: 'set', name: 'X-Set', value: '2' },
    ])
    expect(headers).toEqual({ 'set-cookie': ['a=1', 'b=2'], vary: ['a', 'b'], 'x-new': '1', 'x-set': '2' })
  })
})

describe('headerEditList()', () => {
  it('removes first, then sets, then appends', () => {
    expect(headerEditList({ append: { C: '3' }, set: { B: '2' }, remove: ['A'] })).toEqual([
      { op: 'remove', name: 'a' },
      { op: 'set', name: 'b', value: '2' },
      { op: 'append', name: 'c', value: '3' },
    ])
  })

  it('is nothing where nothing is to be done', () => {
    expect(headerEditList(undefined)).toBeUndefined()
    expect(headerEditList({ set: {}, remove: [] })).toBeUndefined()
  })
})
