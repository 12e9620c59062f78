import {
  createHash,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from 'node:crypto'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { parseToken } from '../../src/jwt/compact-token.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../../src/jwt/key-set.ts'
import { verifySignature } from '../../src/jwt/signature.ts'
import { ecPair, encode, type Pair, rsaPair, signatureOf } from './tokens.ts'

const secret = createSecretKey(Buffer.alloc(64, 'a secret of sixty-four bytes, which is enough for each algorithm'))
const ed25519 = generateKeyPairSync('ed25519')
const pairs: Readonly<Record<JwtAlgorithm, Pair>> = {
  HS256: { publicKey: secret, privateKey: secret },
  HS384: { publicKey: secret, privateKey: secret },
  HS512: { publicKey: secret, privateKey: secret },
  RS256: rsaPair(),
  RS384: rsaPair(),
  RS512: rsaPair(),
  PS256: rsaPair(),
  PS384: rsaPair(),
  PS512: rsaPair(),
  ES256: ecPair('P-256'),
  ES384: ecPair('P-384'),
  ES512: ecPair('P-521'),
  EdDSA: ed25519,
  Ed25519: ed25519,
}

const INPUT = `${encode('{"alg":"any"}')}.${encode('{"sub":"ann"}')}`

/** Whether a token in the compact serialization holds, without a look at its claims. */
function holds(token: string, algorithm: JwtAlgorithm, key: KeyObject): boolean {
  const [header, payload, signature] = token.split('.')
  return verifySignature(algorithm, key, `${header}.${payload}`, Buffer.from(signature!, 'base64url'))
}

function keyOf(jwk: JsonWebKey): KeyObject {
  return createPublicKey({ key: jwk, format: 'jwk' })
}

describe('the examples of the RFCs', () => {
  const payload = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'

  it('hold: HMAC SHA-256, RFC 7515 appendix A.1', () => {
    const key = createSecretKey(
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
      'base64url',
    )
    const token = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
    expect(holds(token, 'HS256', key)).toBe(true)
    expect(parseToken(token, 8_192)).toMatchObject({
      alg: 'HS256',
      typ: 'JWT',
      claims: { iss: 'joe', exp: 1_300_819_380 },
    })
  })

  it('hold: ECDSA P-256 SHA-256, RFC 7515 appendix A.3', () => {
    const key = keyOf({
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    })
    const signature = 'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
    expect(holds(`eyJhbGciOiJFUzI1NiJ9.${payload}.${signature}`, 'ES256', key)).toBe(true)
  })

  it('hold: Ed25519, RFC 8037 appendix A.4', () => {
    const key = keyOf({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' })
    const token =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
    expect(holds(token, 'EdDSA', key)).toBe(true)
  })
})

describe.each(JWT_ALGORITHMS)('%s', (algorithm) => {
  const { publicKey, privateKey } = pairs[algorithm]

  it('holds for a token of another library', async () => {
    const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: algorithm }).sign(privateKey)
    expect(parseToken(token, 8_192)).toMatchObject({ alg: algorithm, claims: { sub: 'ann' } })
    expect(holds(token, algorithm, publicKey)).toBe(true)
  })

  it('does not hold when any bit of the signature or of what was signed is another one', () => {
    const signature = signatureOf(algorithm, privateKey, INPUT)
    expect(verifySignature(algorithm, publicKey, INPUT, signature)).toBe(true)
    fc.assert(
      fc.property(fc.nat(), fc.nat(7), (at, bit) => {
        const changed = Buffer.from(signature)
        changed[at % changed.length]! ^= 1 << bit
        expect(verifySignature(algorithm, publicKey, INPUT, changed)).toBe(false)
        const input = Buffer.from(INPUT)
        input[at % input.length]! ^= 1 << bit
        expect(verifySignature(algorithm, publicKey, input.toString('latin1'), signature)).toBe(false)
      }),
      { numRuns: 40 },
    )
  })

  it('does not hold for a signature of another length: none, shorter, longer, with zeros in front or behind', () => {
    const signature = signatureOf(algorithm, privateKey, INPUT)
    const zero = Buffer.alloc(1)
    for (const changed of [
      Buffer.alloc(0),
      zero,
      signature.subarray(1),
      signature.subarray(0, -1),
      Buffer.concat([zero, signature]),
      Buffer.concat([signature, zero]),
      Buffer.concat([signature, signature]),
      Buffer.alloc(10_000, 1),
    ]) {
      expect(verifySignature(algorithm, publicKey, INPUT, changed)).toBe(false)
    }
  })

  it('does not hold for zeros or ones all through', () => {
    const { length } = signatureOf(algorithm, privateKey, INPUT)
    expect(verifySignature(algorithm, publicKey, INPUT, Buffer.alloc(length))).toBe(false)
    expect(verifySignature(algorithm, publicKey, INPUT, Buffer.alloc(length, 0xff))).toBe(false)
  })

  it('does not hold for a signature by any other algorithm, whatever the key', () => {
    for (const other of JWT_ALGORITHMS) {
      // RFC 9864 §2.2: Ed25519 is one of the two algorithms that EdDSA stands for.
      if (other === algorithm || (other.startsWith('Ed') && algorithm.startsWith('Ed'))) continue
      const signature = signatureOf(other, pairs[other].privateKey, INPUT)
      expect(verifySignature(algorithm, publicKey, INPUT, signature)).toBe(false)
      expect(verifySignature(algorithm, pairs[other].publicKey, INPUT, signature)).toBe(false)
    }
  })

  it('holds for whatever was signed, and for nothing else, without a throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), fc.uint8Array({ maxLength: 600 }), (input, bytes) => {
        expect(verifySignature(algorithm, publicKey, input, signatureOf(algorithm, privateKey, input))).toBe(true)
        expect(verifySignature(algorithm, publicKey, input, Buffer.from(bytes))).toBe(false)
      }),
      { numRuns: 15 },
    )
  })
})

describe('a key that does not belong to the algorithm', () => {
  it('verifies nothing: a public key as the secret of an HMAC (CVE-2016-10555)', () => {
    const { publicKey } = rsaPair()
    const pem = createSecretKey(publicKey.export({ type: 'spki', format: 'pem' }) as string, 'utf8')
    const forged = signatureOf('HS256', pem, INPUT)
    expect(verifySignature('HS256', publicKey, INPUT, forged)).toBe(false)
    expect(verifySignature('RS256', publicKey, INPUT, forged)).toBe(false)
  })

  it('verifies nothing: a private key', () => {
    const signature = signatureOf('RS256', rsaPair().privateKey, INPUT)
    expect(verifySignature('RS256', rsaPair().privateKey, INPUT, signature)).toBe(false)
  })

  it('verifies nothing: a curve of another size, or the one of cryptocurrencies', () => {
    for (const curve of ['P-384', 'secp256k1'] as const) {
      const { publicKey, privateKey } = ecPair(curve)
      const signature = sign('sha256', Buffer.from(INPUT), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      expect(verifySignature('ES256', publicKey, INPUT, signature)).toBe(false)
    }
  })

  it('verifies nothing: a secret shorter than the hash', () => {
    const short = createSecretKey(Buffer.alloc(31, 7))
    expect(verifySignature('HS256', short, INPUT, signatureOf('HS256', short, INPUT))).toBe(false)
  })

  it('verifies only what an RSASSA-PSS key is bound to', () => {
    const bound = generateKeyPairSync('rsa-pss', {
      modulusLength: 2_048,
      hashAlgorithm: 'sha256',
      mgf1HashAlgorithm: 'sha256',
    })
    const signature = signatureOf('PS256', bound.privateKey, INPUT)
    expect(verifySignature('PS256', bound.publicKey, INPUT, signature)).toBe(true)
    expect(verifySignature('PS512', bound.publicKey, INPUT, signature)).toBe(false)
    expect(verifySignature('RS256', bound.publicKey, INPUT, signature)).toBe(false)
  })
})

describe('EdDSA with Ed448', () => {
  it('holds as well', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed448')
    const signature = sign(null, Buffer.from(INPUT), privateKey)
    expect(verifySignature('EdDSA', publicKey, INPUT, signature)).toBe(true)
    expect(verifySignature('EdDSA', publicKey, `${INPUT}x`, signature)).toBe(false)
    expect(verifySignature('EdDSA', ed25519.publicKey, INPUT, signature)).toBe(false)
  })
})

// The cases that Wycheproof has found libraries to get wrong.
describe('ECDSA', () => {
  const { publicKey, privateKey } = pairs.ES256
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const p = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
  const half = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
  const integer = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`)

  it('does not hold for r and s out of range (CVE-2022-21449)', () => {
    const digest = integer(createHash('sha256').update(INPUT).digest())
    const values = [0n, 1n, 2n, n - 1n, n, n + 1n, p, p - n, 2n ** 256n - 1n, digest]
    for (const r of values) {
      for (const s of values) {
        expect(verifySignature('ES256', publicKey, INPUT, Buffer.concat([half(r), half(s)]))).toBe(false)
      }
    }
  })

  it('does not hold with one half zero and the other one right', () => {
    const signature = signatureOf('ES256', privateKey, INPUT)
    for (const zeros of [signature.subarray(0, 32), signature.subarray(32)]) {
      const saved = Buffer.from(zeros)
      zeros.fill(0)
      expect(verifySignature('ES256', publicKey, INPUT, signature)).toBe(false)
      saved.copy(zeros)
    }
    expect(verifySignature('ES256', publicKey, INPUT, signature)).toBe(true)
  })

  it('does not hold in DER, which X.509 uses, even where that happens to be as long', () => {
    for (let i = 0; i < 20; i++) {
      const der = sign('sha256', Buffer.from(INPUT), privateKey)
      expect(verifySignature('ES256', publicKey, INPUT, der)).toBe(false)
      expect(verifySignature('ES256', publicKey, INPUT, der.subarray(0, 64))).toBe(false)
      expect(verifySignature('ES256', publicKey, INPUT, der.subarray(-64))).toBe(false)
    }
  })

  it('does not hold with r and s exchanged', () => {
    const signature = signatureOf('ES256', privateKey, INPUT)
    const exchanged = Buffer.concat([signature.subarray(32), signature.subarray(0, 32)])
    expect(verifySignature('ES256', publicKey, INPUT, exchanged)).toBe(false)
  })
})

describe('RSA', () => {
  const { publicKey, privateKey } = rsaPair()

  it('does not hold for a padding without its hash, or with a salt of another length', () => {
    expect(verifySignature('RS256', publicKey, INPUT, sign('sha1', Buffer.from(INPUT), privateKey))).toBe(false)
    for (const saltLength of [0, 20, 31, 33, 64]) {
      const signature = sign('sha256', Buffer.from(INPUT), { key: privateKey, padding: 6, saltLength })
      expect(verifySignature('PS256', publicKey, INPUT, signature)).toBe(false)
    }
  })

  it('does not hold for a signature that is larger by the modulus', () => {
    const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url')
    const sum =
      BigInt(`0x${signatureOf('RS256', privateKey, INPUT).toString('hex')}`) + BigInt(`0x${modulus.toString('hex')}`)
    const hex = sum.toString(16)
    const larger = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
    expect(verifySignature('RS256', publicKey, INPUT, larger)).toBe(false)
  })
})

describe('a whole token', () => {
  it('is refused with any character changed, put in or left out', () => {
    const { publicKey, privateKey } = pairs.ES256
    const input = `${encode('{"alg":"ES256","kid":"one"}')}.${encode('{"sub":"ann","exp":2000000000}')}`
    const token = `${input}.${encode(signatureOf('ES256', privateKey, input))}`
    const accepted = (text: string) => {
      const parsed = parseToken(text, 8_192)
      return typeof parsed !== 'string' && verifySignature(parsed.alg, publicKey, parsed.signingInput, parsed.signature)
    }
    expect(accepted(token)).toBe(true)
    const characters = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/ \n\0é')
    fc.assert(
      fc.property(fc.nat(token.length - 1), characters, fc.constantFrom(0, 1), (at, character, removed) => {
        const changed = token.slice(0, at) + character + token.slice(at + removed)
        expect(accepted(changed)).toBe(changed === token)
        expect(accepted(token.slice(0, at) + token.slice(at + 1))).toBe(false)
      }),
      { numRuns: 1_000 },
    )
  })
})
