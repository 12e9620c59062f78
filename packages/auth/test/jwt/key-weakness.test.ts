import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { weaknessOf } from '../../src/jwt/key-weakness.ts'
import { ecPair, encode, rsaOf, rsaPair } from './tokens.ts'

const BITS = 2_048
/** Odd, without small factors, of exactly so many bits: made from a number, as good as random. */
function modulus(bits: number, seed = 1n): bigint {
  let value = 2n ** BigInt(bits - 1) + 3n ** 400n * seed
  const product = primes.reduce((all, prime) => all * BigInt(prime), 1n)
  for (value += 1n - (value % 2n); gcd(value, product) !== 1n; ) value += 2n
  return value
}

const primes: number[] = []
for (let n = 2; primes.length < 126; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)

function gcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b]
  return a
}

describe('an RSA key', () => {
  it('that was made as it should be is not weak, nor is one on an elliptic curve', () => {
    expect(weaknessOf(rsaPair().publicKey)).toBeUndefined()
    expect(weaknessOf(ecPair('P-256').publicKey)).toBeUndefined()
  })

  it.each([
    [768, 'its modulus has 768 bits, at least 2048 are needed'],
    [1_024, 'its modulus has 1024 bits, at least 2048 are needed'],
    [2_047, 'its modulus has 2047 bits, at least 2048 are needed'],
    [2_048, undefined],
    [3_072, undefined],
    [8_192, undefined],
    [8_193, 'its modulus has 8193 bits, at most 8192 are taken'],
    [16_384, 'its modulus has 16384 bits, at most 8192 are taken'],
  ])('of %i bits: %s', (bits, weakness) => {
    expect(weaknessOf(rsaOf(modulus(bits)))).toBe(weakness)
  })

  it.each([
    [3n, true],
    [17n, true],
    [127n, true],
    [129n, true],
    [65_537n, true],
    [2n ** 31n + 1n, true],
    [2n ** 32n - 1n, true],
    [0n, false],
    [1n, false],
    [2n, false],
    [65_536n, false],
    [2n ** 32n + 1n, false],
    [2n ** 64n + 1n, false],
  ])('with the exponent %s: taken is %s', (exponent, taken) => {
    const weakness = weaknessOf(rsaOf(modulus(BITS), exponent))
    expect(weakness).toBe(taken ? undefined : 'its exponent is not an odd number from 3 to 2^32')
  })

  it('is refused when its modulus has a small factor', () => {
    for (const prime of primes) {
      expect(weaknessOf(rsaOf(modulus(BITS) * BigInt(prime)))).toBe(`its modulus is divisible by ${prime}`)
    }
  })

  // Infineon's library made primes as k·M + (65537^a mod M). Their owner is found by anybody who has the public key.
  it('is refused when its primes have the form of ROCA (CVE-2017-15361)', () => {
    const product = primes.reduce((all, prime) => all * BigInt(prime), 1n)
    const power = (exponent: number) => {
      let value = 1n
      for (let i = 0; i < exponent; i++) value = (value * 65_537n) % product
      return value
    }
    fc.assert(
      fc.property(fc.nat(5_000), fc.nat(5_000), fc.bigInt({ min: 2n ** 53n, max: 2n ** 54n }), (a, b, k) => {
        const p = k * product + power(a)
        const q = (k + 12_345n) * product + power(b)
        const bits = (p * q).toString(2).length
        const weakness = weaknessOf(rsaOf(p * q))
        if (bits < BITS) expect(weakness).toContain('at least 2048')
        else expect(weakness).toBe('its primes can be guessed (ROCA, CVE-2017-15361)')
      }),
      { numRuns: 20 },
    )
  })

  it('is not taken for one of ROCA by chance', () => {
    for (let seed = 1n; seed < 100n; seed++) expect(weaknessOf(rsaOf(modulus(BITS, seed)))).toBeUndefined()
  })
})

describe('an Edwards key of small order', () => {
  const edwards = (crv: string, bytes: Buffer) =>
    createPublicKey({ key: { kty: 'OKP', crv, x: encode(bytes) }, format: 'jwk' })
  const littleEndian = (value: bigint, bytes: number) =>
    Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex').reverse()

  /**
   * The y of a point that is doubled so often, on a·x² + y² = 1 + d·x²·y². Its x never matters but for the square. The neutral
   * point alone has y = 1: a point that gets there is of small order.
   */
  function doubled(y: bigint, times: number, { p, a, d }: { p: bigint; a: bigint; d: bigint }): bigint {
    const over = (value: bigint, by: bigint) => ((((value % p) * power(((by % p) + p) % p, p - 2n, p)) % p) + p) % p
    for (let i = 0; i < times; i++) {
      const y2 = y * y
      const x2 = over(1n - y2, a - d * y2)
      y = over(y2 - a * x2, 1n - d * x2 * y2)
    }
    return y
  }

  function power(base: bigint, exponent: bigint, p: bigint): bigint {
    let result = 1n
    for (let left = exponent; left > 0n; left >>= 1n, base = (base * base) % p) {
      if (left & 1n) result = (result * base) % p
    }
    return result
  }

  const p = 2n ** 255n - 19n
  const edwards25519 = { p, a: -1n, d: -121_665n * power(121_666n, p - 2n, p) }
  const edwards448 = { p: 2n ** 448n - 2n ** 224n - 1n, a: 1n, d: -39_081n }
  const y8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n

  // With such a key, the signature of the neutral point and zero fits every message, or one of a few.
  it.each([0n, 1n, p - 1n, y8, p - y8, p, p + 1n])(
    'on Ed25519 is refused, since anybody can sign for it: y = %s',
    (y) => {
      expect(doubled(y, 3, edwards25519)).toBe(1n)
      for (const sign of [0x00, 0x80]) {
        const bytes = littleEndian(y, 32)
        bytes[31]! |= sign
        const key = edwards('Ed25519', bytes)
        expect(weaknessOf(key)).toBe('its point is of small order: anybody can sign for it')
      }
    },
  )

  it.each([0n, 1n, 2n ** 448n - 2n ** 224n - 2n])('on Ed448 is refused: y = %s', (y) => {
    expect(doubled(y, 2, edwards448)).toBe(1n)
    expect(weaknessOf(edwards('Ed448', littleEndian(y, 57)))).toBe(
      'its point is of small order: anybody can sign for it',
    )
  })

  it('is none of those that people have', () => {
    const point = Buffer.from('11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', 'base64url')
    expect(doubled(BigInt(`0x${Buffer.from(point).reverse().toString('hex')}`), 3, edwards25519)).not.toBe(1n)
    expect(weaknessOf(edwards('Ed25519', point))).toBeUndefined()
  })
})
