import { createTarget } from '@postern/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TOKEN_LENGTH, TokenSigner } from '../../src/affinity/tokens.ts'

const OLD = 'old-secret-old-secret-old-secret-'
const NEW = 'new-secret-new-secret-new-secret-'

const targetOf = (id: string) => createTarget({ url: 'http://10.0.0.1:3000', id })

describe('the token of a target', () => {
  it('shows nothing of the id or the address, and always has the same length and plain characters', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'binary' }), (id) => {
        const [token] = new TokenSigner([NEW]).tokensOf(targetOf(id))
        expect(token).toMatch(/^[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{22}$/)
        expect(token).toHaveLength(TOKEN_LENGTH)
      }),
    )
  })

  it('is the same in every process with the same secret, and another under another', () => {
    const [one] = new TokenSigner([NEW]).tokensOf(targetOf('a'))
    expect(new TokenSigner([NEW]).tokensOf(targetOf('a'))).toEqual([one])
    expect(new TokenSigner([OLD]).tokensOf(targetOf('a'))).not.toEqual([one])
    expect(new TokenSigner([NEW]).tokensOf(targetOf('b'))).not.toEqual([one])
  })

  it('has one form a secret, the first secret first', () => {
    const tokens = new TokenSigner([NEW, OLD]).tokensOf(targetOf('a'))
    expect(tokens).toEqual([
      new TokenSigner([NEW]).tokensOf(targetOf('a'))[0],
      new TokenSigner([OLD]).tokensOf(targetOf('a'))[0],
    ])
  })
})

describe('a token that comes back', () => {
  const signer = new TokenSigner([NEW, OLD])

  it('is genuine when any of the secrets has signed it, whatever became of the target', () => {
    for (const token of signer.tokensOf(targetOf('gone'))) expect(signer.isGenuine(token)).toBe(true)
  })

  it('is not when it was made up, shortened, lengthened, signed with another secret or changed in any character', () => {
    const [token] = signer.tokensOf(targetOf('a')) as [string]
    const [foreign] = new TokenSigner(['x'.repeat(32)]).tokensOf(targetOf('a')) as [string]
    for (const other of ['', '.', 'x'.repeat(TOKEN_LENGTH), token.slice(1), `${token}A`, foreign]) {
      expect(signer.isGenuine(other)).toBe(false)
    }
    // The last character has two bits that no byte holds.
    for (let i = 0; i < TOKEN_LENGTH - 1; i++) {
      const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1)
      expect(signer.isGenuine(changed)).toBe(false)
    }
  })

  it('is looked at without a fault, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: TOKEN_LENGTH, maxLength: TOKEN_LENGTH }), (text) => {
        expect(signer.isGenuine(text)).toBe(false)
      }),
    )
  })
})
