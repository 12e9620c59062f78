import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IndexShard, shardCount, uniqueHashes } from '../../../src/store/packed/key-index.ts'
import { Ledger } from '../../../src/store/packed/ledger.ts'

const GIBIBYTE = 2 ** 30

function locationsOf(shard: IndexShard, hash: number): readonly number[] {
  const locations: number[] = []
  for (let slot = shard.first(hash); slot >= 0; slot = shard.next(slot, hash)) locations.push(shard.location(slot))
  return locations.toSorted()
}

describe('the index of keys', () => {
  it('is one table for a small store, and more the more can be stored', () => {
    expect(shardCount(1_048_576)).toBe(1)
    expect(shardCount(2 * GIBIBYTE)).toBe(128)
    expect(shardCount(1_024 * GIBIBYTE)).toBe(1_024)
  })

  it('finds what was added and not what was taken out, whatever hashes meet', () => {
    // Places are chosen by the upper bits: few of them, so that they meet, and the last one, so that they wrap.
    const hash = fc
      .tuple(fc.constantFrom(0, 1, 2, 5, 0x3f_fffe, 0x3f_ffff), fc.nat(1))
      .map(([high, low]) => high * 1_024 + low)
    const action = fc.tuple(fc.constantFrom('add', 'add', 'remove'), hash, fc.nat(100))
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200, size: 'max' }), (actions) => {
        const shard = new IndexShard(new Ledger())
        const model: { hash: number; location: number }[] = []
        for (const [at, [what, hash, number]] of actions.entries()) {
          if (what === 'add') {
            shard.add(hash, at + 1)
            model.push({ hash, location: at + 1 })
          } else if (model.length > 0) {
            const [gone] = model.splice(number % model.length, 1)
            let slot = shard.first(gone!.hash)
            while (shard.location(slot) !== gone!.location) slot = shard.next(slot, gone!.hash)
            shard.remove(slot)
          }
          const wanted = model.filter((each) => each.hash === hash).map(({ location }) => location)
          expect(locationsOf(shard, hash)).toEqual(wanted.toSorted())
        }
        for (const { hash, location } of model) expect(locationsOf(shard, hash)).toContain(location)
        expect([...shard.hashes()]).toEqual([...new Set(model.map(({ hash }) => hash))].toSorted((a, b) => a - b))
      }),
    )
  })

  it('says beforehand what it grows by', () => {
    const ledger = new Ledger()
    const shard = new IndexShard(ledger)
    for (let at = 1; at < 5_000; at++) {
      const wanted = ledger.bytes + shard.growthBytes
      shard.add(Math.imul(at, 0x9e37_79b1) >>> 0, at)
      expect(ledger.bytes).toBe(wanted)
    }
    expect(ledger.indexBytes).toBe(65_536)
  })
})

describe('a list of hashes', () => {
  it('has each of them once', () => {
    expect([...uniqueHashes(Uint32Array.of(7, 0, 0xffff_ffff, 7, 0))]).toEqual([0, 7, 0xffff_ffff])
    expect([...uniqueHashes(new Uint32Array(0))]).toEqual([])
  })
})
