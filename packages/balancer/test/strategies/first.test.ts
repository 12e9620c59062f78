import { describe, expect, it } from 'vitest'
import { balancerOf, lease } from '../support.ts'

describe('first', () => {
  it('takes the first target for as long as it may be used, whatever is in flight and whatever the weights', () => {
    const handler = balancerOf([1, 50, 50], { strategy: 'first' })
    for (let i = 0; i < 20; i++) expect(lease(handler).target.id).toBe('a')
  })

  it('takes the next in the order of the list when the first was tried, and again the first for the next request', () => {
    const handler = balancerOf([1, 1, 1], { strategy: 'first' })
    expect(lease(handler, (target) => target.id !== 'a').target.id).toBe('b')
    expect(lease(handler).target.id).toBe('a')
  })

  it('takes the next while the first drains', async () => {
    const handler = balancerOf([1, 1, 1], { strategy: 'first' })
    await handler.drain('a')
    expect(lease(handler).target.id).toBe('b')
    handler.undrain('a')
    expect(lease(handler).target.id).toBe('a')
  })
})
