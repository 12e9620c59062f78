import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sampleResponse } from '../../src/store/conformance/sample-response.ts'
import { contentMemoryBytes, keepContent } from '../../src/store/content.ts'
import { stringBytes } from '../../src/store/flat-string.ts'
import { HeldResponse } from '../../src/store/held-response.ts'
import { Holdings } from '../../src/store/holdings.ts'
import {
  arrayBytes,
  KEY_BYTES,
  POOLED_BYTES,
  RESPONSE_BYTES,
  TAG_BYTES,
  TAG_MEMBER_BYTES,
} from '../../src/store/memory-costs.ts'

const VALUES = ['text/html; charset=utf-8', 'max-age=60, must-revalidate', 'nosniff', 'no-referrer-when-downgrade']

type Action =
  | {
      readonly kind: 'put'
      key: number
      variant: number
      bytes: number
      tags: readonly string[]
      values: readonly string[]
    }
  | { readonly kind: 'update'; key: number; variant: number; tags: readonly string[]; values: readonly string[] }
  | { readonly kind: 'get' | 'purge' | 'soften'; key: number; variant: number }

const key = fc.nat(12)
const variant = fc.nat(4)
const tags = fc.array(fc.constantFrom('shoes', 'sale', 'a tag that is longer than the others'), { maxLength: 3 })
const values = fc.array(fc.constantFrom(...VALUES), { maxLength: 4 })
const actions = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('put' as const), key, variant, bytes: fc.nat(6_000), tags, values }),
    fc.record({ kind: fc.constant('put' as const), key, variant, bytes: fc.nat(100), tags, values }),
    fc.record({ kind: fc.constant('update' as const), key, variant, tags, values }),
    fc.record({ kind: fc.constantFrom('get' as const, 'purge' as const, 'soften' as const), key, variant }),
  ),
  { maxLength: 80, size: 'max' },
)

describe('the account of what a store holds', () => {
  it('is the sum over what is stored, and within the limit, whatever was done', () => {
    fc.assert(
      fc.property(actions, fc.integer({ min: 2_000, max: 60_000 }), (todo, maxBytes) => {
        const holdings = new Holdings(maxBytes, 3)
        for (const [at, action] of todo.entries()) {
          act(holdings, action, at)
          expect(holdings.ledger.bytes).toBe(sumOf(holdings))
          expect(holdings.ledger.bytes).toBeLessThanOrEqual(maxBytes)
        }
        emptied(holdings)
        expect(holdings.ledger).toMatchObject({ bytes: 0, responses: 0 })
        for (const shard of holdings.keys.shards) expect(shard.tags.size).toBe(0)
      }),
    )
  })

  it('has no key without responses', () => {
    fc.assert(
      fc.property(actions, (todo) => {
        const holdings = new Holdings(20_000, 3)
        for (const [at, action] of todo.entries()) act(holdings, action, at)
        for (const entry of holdings.keys.shards.flatMap((shard) => shard.entries())) {
          expect(entry.responses.length).toBeGreaterThan(0)
        }
      }),
    )
  })

  it('counts a header value that many responses have once', () => {
    const policy = `default-src 'self'; ${'script-src https://cdn.shop.example; '.repeat(20)}`
    const holdings = new Holdings(10_000_000, 3)
    const cost = (id: string) => {
      const before = holdings.ledger.bytes
      holdings.put(id, sampleResponse(id, { headers: ['content-security-policy', policy] }), [])
      return holdings.ledger.bytes - before
    }
    const alone = cost('key 1')
    cost('key 2')
    expect(alone - cost('key 3')).toBeGreaterThanOrEqual(policy.length)
    emptied(holdings)
    expect(holdings.ledger.bytes).toBe(0)
  })

  it('counts two bytes a character where V8 needs them', () => {
    expect(stringBytes('caf\u00e9'.repeat(100)) - stringBytes('')).toBe(400)
    expect(stringBytes('\u4e16'.repeat(400)) - stringBytes('')).toBe(800)
  })
})

function act(holdings: Holdings, action: Action, at: number): void {
  const name = `key ${action.key}`
  const entry = holdings.keys.peek(name)
  const id = `${action.key} ${action.variant} ${at}`
  if (action.kind === 'put') {
    const { tags, values, variant } = action
    const headers = values.flatMap((value, line) => [`x-name-of-line-${line}`, value])
    const body = keepContent([Buffer.alloc(action.bytes)])
    holdings.put(name, sampleResponse(id, { variant: `variant ${variant}`, tags, headers, body }), body)
  } else if (action.kind === 'update') {
    const response = entry?.responses[action.variant % entry.responses.length]
    const headers = action.values.flatMap((value) => ['x-validated-field', value])
    // The variant may become that of another, as when an answer to a conditional request has another Vary.
    const changes = { headers, tags: action.tags, variant: `variant ${action.variant}` }
    holdings.update(name, { ...sampleResponse(response?.id ?? 'unknown'), ...changes })
  } else if (action.kind === 'get') {
    holdings.keys.get(name)
  } else if (entry !== undefined) {
    const mode = action.kind === 'purge' ? 'delete' : 'stale'
    holdings.purge(entry, ({ variant }) => variant === `variant ${action.variant}`, mode, at)
  }
}

function emptied(holdings: Holdings): void {
  for (const entry of holdings.keys.shards.flatMap((shard) => shard.entries())) {
    holdings.purge(entry, () => true, 'delete', 0)
  }
}

/** Worked out anew from what can be reached. */
function sumOf(holdings: Holdings): number {
  const pooled = new Set<string>()
  let bytes = 0
  let responses = 0
  for (const shard of holdings.keys.shards) {
    const members = new Map<string, number>()
    for (const entry of shard.entries()) {
      bytes += KEY_BYTES + stringBytes(entry.key) + arrayBytes(entry.responses.length)
      expect(new Set(entry.responses.map(({ variant }) => variant)).size).toBe(entry.responses.length)
      for (const response of entry.responses) {
        responses++
        bytes += bytesOf(response, pooled)
        for (const tag of new Set(response.tags)) members.set(tag, (members.get(tag) ?? 0) + 1)
      }
    }
    for (const [tag, count] of members) bytes += TAG_BYTES + stringBytes(tag) + count * TAG_MEMBER_BYTES
    expect(shard.tags.size).toBe(members.size)
  }
  for (const text of pooled) bytes += POOLED_BYTES + stringBytes(text)
  expect(holdings.ledger.responses).toBe(responses)
  return bytes
}

function bytesOf(response: HeldResponse, pooled: Set<string>): number {
  const { sharedNames, sharedValues } = HeldResponse.holding(response)
  const { headers, tags, id, statusText, variant, partition } = response
  let bytes = RESPONSE_BYTES + arrayBytes(headers.length) + arrayBytes(tags.length) + contentMemoryBytes(response.body)
  const add = (text: string, shared: number) => {
    if (shared) pooled.add(text)
    else if (text !== '') bytes += stringBytes(text)
  }
  for (const [at, text] of headers.entries()) add(text, (at % 2 === 0 ? sharedNames : sharedValues) & (1 << (at >> 1)))
  add(id, 0)
  add(response.etag ?? '', 0)
  add(statusText, sharedValues & (1 << 28))
  add(variant, sharedValues & (1 << 29))
  add(partition, sharedValues & (1 << 30))
  return bytes
}
