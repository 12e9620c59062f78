import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyFromKeyObject, keyFromPem, keyFromSecret } from '../../src/jwt/key-material.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../../src/jwt/key-set.ts'
import { ecPair, jwkOf, rsaPair } from './tokens.ts'

/** Of a P-256 key; its dates are over. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUK47eT76qtzT2jliKi5w0+v+2dpMwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOaXNzdWVyLmV4YW1wbGUwHhcNMjYxMTI2MDEyODI3WhcNMjYx
MTI3MDEyODI3WjAZMRcwFQYDVQQDDA5pc3N1ZXIuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABKzI2VjYrja196f+3CPYM7X2tythheohAdSp0ih3VDvp
82tTe19mjO+bPKwem9YVk+a5KO9URwTVoKNip79HmdOjUzBRMB0GA1UdDgQWBBQZ
EI7mwPmFvY44q400VJAFq9zPHzAfBgNVHSMEGDAWgBQZEI7mwPmFvY44q400VJAF
q9zPHzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIGwbmbGibnfD
fejgpxRqQlV5FOUyey6uZhUMem7WDEBwAiEAyldVq1huFxVaYC8EJ+Qe86gMPL5H
uM73UIv2T511nmc=
-----END CERTIFICATE-----
`

const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string
const SECRET = 'correct horse battery staple, correct horse battery staple, and more'

/** The message of what is thrown; fails when nothing is. */
function faultOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return (error as Error).message
  }
  throw new Error('it was taken')
}

describe('a secret', () => {
  it('verifies the HMAC algorithms of the list, and no others', () => {
    const key = keyFromSecret(SECRET, JWT_ALGORITHMS, 'one')
    expect([...key.algorithms]).toEqual(['HS256', 'HS384', 'HS512'])
    expect(key).toMatchObject({ kid: 'one', active: true })
    expect(key.key.export()).toEqual(Buffer.from(SECRET))
    expect(keyFromSecret(Buffer.from(SECRET), ['HS256']).key.equals(key.key)).toBe(true)
  })

  it('is counted in bytes, not in characters', () => {
    expect(keyFromSecret(`${'é'.repeat(15)}ab`, ['HS256']).key.symmetricKeySize).toBe(32)
  })

  it.each([
    ['HS256', 32],
    ['HS384', 48],
    ['HS512', 64],
  ] as const)('for %s has at least %i bytes (RFC 7518 §3.2)', (algorithm, least) => {
    expect(keyFromSecret(SECRET.slice(0, least), [algorithm]).algorithms.has(algorithm)).toBe(true)
    expect(faultOf(() => keyFromSecret(SECRET.slice(0, least - 1), [algorithm]))).toBe(
      `has ${least - 1} bytes, and ${algorithm} needs at least ${least} (RFC 7518 §3.2)`,
    )
    expect(faultOf(() => keyFromSecret('', [algorithm]))).toContain('has 0 bytes')
  })

  it('is long enough for every HMAC algorithm of the list, or for none', () => {
    expect(faultOf(() => keyFromSecret(SECRET.slice(0, 32), ['HS256', 'HS512', 'RS256']))).toBe(
      'has 32 bytes, and HS256, HS512 need at least 64 (RFC 7518 §3.2)',
    )
  })

  it('is refused where only public keys can verify', () => {
    expect(faultOf(() => keyFromSecret(SECRET, ['RS256', 'ES256']))).toBe(
      'is a secret, which verifies HS256, HS384 and HS512 only, and algorithms are RS256, ES256',
    )
  })

  it('is refused when nobody has filled it', () => {
    expect(faultOf(() => keyFromSecret(Buffer.alloc(64), ['HS256']))).toBe('is one byte over and over, not a secret')
    expect(faultOf(() => keyFromSecret('x'.repeat(64), ['HS256']))).toBe('is one byte over and over, not a secret')
  })

  it('is refused when it is a key or a certificate in any form, for then everybody can sign (CVE-2016-10555)', () => {
    const { publicKey, privateKey } = rsaPair()
    const pem = spki(publicKey)
    const forms: [string, string | Buffer][] = [
      ['PEM', pem],
      ['PEM with spaces before it', ` \n${pem}`],
      ['PEM in bytes', Buffer.from(pem)],
      ['a private key', privateKey.export({ type: 'pkcs8', format: 'pem' })],
      ['PKCS#1', publicKey.export({ type: 'pkcs1', format: 'pem' })],
      ['a certificate', CERTIFICATE],
      ['SPKI in DER', publicKey.export({ type: 'spki', format: 'der' })],
      ['PKCS#1 in DER', publicKey.export({ type: 'pkcs1', format: 'der' })],
      ['a certificate in DER', new X509Certificate(CERTIFICATE).raw],
      ['JWK', JSON.stringify(jwkOf(publicKey))],
      ['JWKS', JSON.stringify({ keys: [jwkOf(publicKey)] }, null, 2)],
      ['SSH', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDo3Vt7t1b2Vx3eJ3u8q3o8qB6tP2tJm3b ann@example'],
    ]
    for (const [form, material] of forms) {
      expect(
        faultOf(() => keyFromSecret(material, JWT_ALGORITHMS)),
        form,
      ).toMatch(/^is a key or certificate, not a secret/)
    }
  })

  it('may begin like DER and be none', () => {
    const bytes = Buffer.from(SECRET)
    bytes[0] = 0x30
    expect(keyFromSecret(bytes, ['HS256']).key.symmetricKeySize).toBe(bytes.length)
  })

  it('is not changed by what happens to the bytes that were given', () => {
    const bytes = Buffer.from(SECRET)
    const { key } = keyFromSecret(bytes, ['HS256'])
    bytes.fill(0)
    expect(key.export().toString()).toBe(SECRET)
  })
})

describe('a public key in PEM', () => {
  const cases: [string, string, readonly JwtAlgorithm[]][] = [
    ['RSA', spki(rsaPair().publicKey), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']],
    [
      'RSA as PKCS#1',
      rsaPair().publicKey.export({ type: 'pkcs1', format: 'pem' }) as string,
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ],
    [
      'RSASSA-PSS',
      spki(generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }).publicKey),
      ['PS256', 'PS384', 'PS512'],
    ],
    ['P-256', spki(ecPair('P-256').publicKey), ['ES256']],
    ['P-384', spki(ecPair('P-384').publicKey), ['ES384']],
    ['P-521', spki(ecPair('P-521').publicKey), ['ES512']],
    ['Ed25519', spki(generateKeyPairSync('ed25519').publicKey), ['EdDSA', 'Ed25519']],
    ['Ed448', spki(generateKeyPairSync('ed448').publicKey), ['EdDSA']],
    ['an X.509 certificate', CERTIFICATE, ['ES256']],
  ]

  it.each(cases)('%s verifies the algorithms of its kind, and never an HMAC', (_, pem, algorithms) => {
    expect([...keyFromPem(pem, JWT_ALGORITHMS).algorithms]).toEqual(algorithms)
    expect([...keyFromPem(Buffer.from(pem), algorithms.slice(0, 1)).algorithms]).toEqual(algorithms.slice(0, 1))
    expect(faultOf(() => keyFromPem(pem, ['HS256', 'HS384', 'HS512']))).toMatch(
      /^is a key of type .* fits none of the algorithms/,
    )
  })

  it('of a certificate is the key in it', () => {
    const { key } = keyFromPem(CERTIFICATE, ['ES256'])
    expect(key.equals(createPublicKey(CERTIFICATE))).toBe(true)
  })

  it('is refused when it does not fit, and says what it is', () => {
    expect(faultOf(() => keyFromPem(spki(ecPair('P-256').publicKey), ['ES384', 'RS256']))).toBe(
      'is a key of type ec on the curve prime256v1, which fits none of the algorithms ES384, RS256',
    )
    expect(faultOf(() => keyFromPem(spki(ecPair('secp256k1').publicKey), JWT_ALGORITHMS))).toContain('secp256k1')
    expect(faultOf(() => keyFromPem(spki(generateKeyPairSync('x25519').publicKey), JWT_ALGORITHMS))).toContain('x25519')
  })

  it('is refused when it is a private key, also behind its parameters or encrypted', () => {
    const { privateKey } = ecPair('P-256')
    const sec1 = privateKey.export({ type: 'sec1', format: 'pem' }) as string
    for (const pem of [
      sec1,
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${sec1}`,
      privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }) as string,
      rsaPair().privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
    ]) {
      expect(faultOf(() => keyFromPem(pem, JWT_ALGORITHMS))).toMatch(/^is a private key; give the public one only/)
    }
  })

  it('is refused when it cannot be read, with a word on what is wrong', () => {
    const pem = spki(rsaPair().publicKey)
    expect(faultOf(() => keyFromPem('', JWT_ALGORITHMS))).toMatch(/^is not PEM/)
    expect(faultOf(() => keyFromPem('./public.pem', JWT_ALGORITHMS))).toMatch(/^is not PEM/)
    expect(faultOf(() => keyFromPem(pem + pem, JWT_ALGORITHMS))).toBe('holds 2 PEM blocks; give each key by itself')
    expect(faultOf(() => keyFromPem(pem.slice(0, 200), JWT_ALGORITHMS))).toMatch(/cannot be read/)
    expect(faultOf(() => keyFromPem(pem.replace('MIIB', 'MIIC'), JWT_ALGORITHMS))).toMatch(/cannot be read/)
    expect(faultOf(() => keyFromPem(pem.replaceAll('PUBLIC KEY', 'X509 CRL'), JWT_ALGORITHMS))).toMatch(
      /^is a PEM block "X509 CRL"/,
    )
    expect(faultOf(() => keyFromPem(pem + ' '.repeat(65_536), JWT_ALGORITHMS))).toBe('is longer than 65536 bytes')
  })
})

describe('a key object', () => {
  it('is taken when it is public or a secret', () => {
    expect([...keyFromKeyObject(ecPair('P-521').publicKey, JWT_ALGORITHMS, 'one').algorithms]).toEqual(['ES512'])
    expect([...keyFromKeyObject(createSecretKey(Buffer.from(SECRET)), ['HS384']).algorithms]).toEqual(['HS384'])
  })

  it('is refused when it is private, too short, or does not fit', () => {
    expect(faultOf(() => keyFromKeyObject(ecPair('P-256').privateKey, JWT_ALGORITHMS))).toMatch(/^is a private key/)
    expect(faultOf(() => keyFromKeyObject(createSecretKey(Buffer.from('short')), ['HS256']))).toMatch(/^has 5 bytes/)
    expect(
      faultOf(() => keyFromKeyObject(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey, ['RS256'])),
    ).toBe('is not safe: its modulus has 1024 bits, at least 2048 are needed')
  })
})

describe('whatever is wrong with a key', () => {
  it('its kid is a text of 1 to 256 characters', () => {
    for (const kid of ['', 'k'.repeat(257)]) {
      expect(faultOf(() => keyFromSecret(SECRET, ['HS256'], kid))).toMatch(/^has a kid that is not/)
      expect(faultOf(() => keyFromPem(CERTIFICATE, ['ES256'], kid))).toMatch(/^has a kid that is not/)
    }
  })

  it('no message gives anything of it away', () => {
    const pem = rsaPair().privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    const messages = [
      faultOf(() => keyFromSecret(SECRET.slice(0, 20), ['HS256'])),
      faultOf(() => keyFromSecret(SECRET, ['RS256'])),
      faultOf(() => keyFromSecret(pem, ['HS256'])),
      faultOf(() => keyFromPem(pem, ['RS256'])),
      faultOf(() => keyFromPem(pem.replaceAll(' PRIVATE', ' PUBLIC').slice(0, 500), ['RS256'])),
      faultOf(() => keyFromPem(SECRET, ['RS256'])),
    ]
    for (const message of messages) {
      expect(message).not.toContain(SECRET.slice(0, 8))
      expect(message).not.toContain(pem.slice(40, 56))
    }
  })
})
