import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyTable } from '../../src/store/key-table.ts'
import { Ledger } from '../../src/store/ledger.ts'
import { textHash } from '../../src/store/text-hash.ts'

const GIBIBYTE = 2 ** 30

describe('the table of keys', () => {
  it('is one for a small store, and grows in number with what can be stored', () => {
    expect(new KeyTable(1_048_576, new Ledger()).shards).toHaveLength(1)
    expect(new KeyTable(2 * GIBIBYTE, new Ledger()).shards).toHaveLength(128)
    expect(new KeyTable(1_024 * GIBIBYTE, new Ledger()).shards).toHaveLength(1_024)
  })

  it('spreads keys that differ in a number over all shards evenly', () => {
    const table = new KeyTable(GIBIBYTE, new Ledger())
    for (let at = 0; at < 64_000; at++) table.create(`GET https://shop.example/products/${at}?page=${at % 10}`)
    for (const shard of table.shards) {
      const { length } = shard.entries()
      expect(length).toBeGreaterThan(750)
      expect(length).toBeLessThan(1_250)
    }
  })

  it('knows the least recently used of all, whatever was used, added and taken away before', () => {
    const action = fc.tuple(fc.constantFrom('use', 'use', 'add', 'delete', 'evict'), fc.nat(30))
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200, size: 'max' }), (actions) => {
        // 16 shards, few keys in each.
        const table = new KeyTable(GIBIBYTE / 4, new Ledger())
        const order: string[] = []
        const forget = (key: string) => order.includes(key) && order.splice(order.indexOf(key), 1)
        for (const [what, number] of actions) {
          const key = `key ${number}`
          table.advance()
          const entry = table.peek(key)
          expect(entry !== undefined).toBe(order.includes(key))
          if (what === 'evict') {
            const oldest = table.oldest()
            expect(oldest?.key).toBe(order[0])
            if (oldest !== undefined) table.delete(oldest)
            order.shift()
          } else if (what === 'delete') {
            if (entry !== undefined) table.delete(entry)
            forget(key)
          } else if (what === 'use' ? table.get(key) !== undefined : entry === undefined && table.create(key)) {
            forget(key)
            order.push(key)
          }
        }
      }),
    )
  })
})

describe('the hash of a text', () => {
  it('is the same for the same text and seed, and another for another', () => {
    expect(textHash('products', 1)).toBe(textHash('products', 1))
    expect(textHash('products', 1)).not.toBe(textHash('products', 2))
    expect(textHash('products', 1)).not.toBe(textHash('product', 1))
  })

  it('looks at a bounded part of a long text', () => {
    let looked = 0
    const long = new Proxy(Object('x'.repeat(100_000)), {
      get(text, name) {
        if (name === 'charCodeAt') looked++
        const value = text[name]
        return typeof value === 'function' ? value.bind(text) : value
      },
    })
    textHash(long, 12_345)
    expect(looked).toBeGreaterThan(100)
    expect(looked).toBeLessThanOrEqual(256)
  })
})
