import { randomBytes, scryptSync } from 'node:crypto'
import { hash as bcryptHash } from '@node-rs/bcrypt'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isHashFault, type PasswordHash, readPasswordHash } from '../../src/basic/password-hash.ts'
import { hashPassword, verifyPassword } from '../../src/basic/verify-password.ts'
import { ARGON2I_PASSWORD, ARGON2ID_PASSWORD, BCRYPT_UXU, SCRYPT_PASSWORD } from './support.ts'

function read(text: string): PasswordHash {
  const hash = readPasswordHash(text)
  if (isHashFault(hash)) throw new Error(hash.fault)
  return hash
}

function faultOf(text: unknown): string | undefined {
  const hash = readPasswordHash(text)
  return isHashFault(hash) ? `${hash.fault}; ${hash.cure}` : undefined
}

describe('published hashes', () => {
  test.each([
    ['bcrypt 2a (crypt_blowfish)', BCRYPT_UXU, 'U*U'],
    ['bcrypt 2y', BCRYPT_UXU.replace('$2a$', '$2y$'), 'U*U'],
    ['bcrypt 2b', BCRYPT_UXU.replace('$2a$', '$2b$'), 'U*U'],
    ['scrypt (passlib)', SCRYPT_PASSWORD, 'password'],
    ['Argon2i (reference)', ARGON2I_PASSWORD, 'password'],
    ['Argon2id (reference)', ARGON2ID_PASSWORD, 'password'],
  ])('%s fits its password and no other', async (_, text, password) => {
    expect(await verifyPassword(read(text), password)).toBe(true)
    for (const wrong of [`${password} `, password.toUpperCase() === password ? 'u*u' : password.toUpperCase(), '']) {
      expect(await verifyPassword(read(text), wrong)).toBe(false)
    }
  })

  test('scrypt with several lanes and a long digest', async () => {
    const salt = randomBytes(16)
    const digest = scryptSync('pässword', salt, 64, { N: 1_024, r: 4, p: 3 })
    const b64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
    const hash = read(`$scrypt$ln=10,r=4,p=3$${b64(salt)}$${b64(digest)}`)
    expect(await verifyPassword(hash, 'pässword')).toBe(true)
    expect(await verifyPassword(hash, 'passwörd')).toBe(false)
  })

  test('the largest scrypt that is taken has memory enough', async () => {
    const hash = read(SCRYPT_PASSWORD.replace('ln=8', 'ln=18'))
    expect(await verifyPassword(hash, 'password')).toBe(false)
  })
})

describe('bcrypt', () => {
  test('does not take a password for another one that begins with the same 72 bytes', async () => {
    const first = 'x'.repeat(72)
    const hash = read(await bcryptHash(first, { cost: 4 }))
    expect(await verifyPassword(hash, first)).toBe(true)
    expect(await verifyPassword(hash, `${first}y`)).toBe(false)
    const umlauts = read(await bcryptHash('ä'.repeat(36), { cost: 4 }))
    expect(await verifyPassword(umlauts, 'ä'.repeat(36))).toBe(true)
    expect(await verifyPassword(umlauts, 'ä'.repeat(37))).toBe(false)
  })
})

describe('hashes that are refused', () => {
  const salted = '$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  test.each([
    ['SHA-1', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', 'SHA-1'],
    ['salted SHA-1', '{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', 'LDAP'],
    ['MD5 of Apache', '$apr1$TqI9WECO$LHZB2DqRlk9nObiB6vJG9.', 'MD5'],
    ['MD5 crypt', '$1$abc$BXBqpb9BZcZhXLgbee.0s/', 'MD5'],
    ['SHA-512 crypt', '$6$salt$abc', 'SHA-2'],
    ['DES crypt', 'rqXexS6ZhobKA', 'plain text'],
    ['plain text', 'correct horse battery staple', 'plain text'],
    ['an empty text', '', 'plain text'],
    ['the broken 2x', BCRYPT_UXU.replace('$2a$', '$2x$'), 'not a bcrypt hash'],
    ['a bcrypt hash that was cut', BCRYPT_UXU.slice(0, -1), 'not a bcrypt hash'],
    ['a bcrypt hash with something behind', `${BCRYPT_UXU}\n`, 'not a bcrypt hash'],
    ['bcrypt of a cost that is none', BCRYPT_UXU.replace('$05$', '$03$'), 'not a bcrypt hash'],
    ['costly bcrypt', BCRYPT_UXU.replace('$05$', '$16$'), 'a bcrypt cost of 16, at most 15'],
    ['Argon2 with 2 GiB', `$argon2id$v=19$m=2097152,t=1,p=1${salted}`, '2097152 KiB'],
    ['Argon2 with a thousand passes', `$argon2id$v=19$m=65536,t=1000,p=1${salted}`, '1000 passes'],
    ['Argon2 with 200 lanes', `$argon2id$v=19$m=65536,t=1,p=200${salted}`, '200 lanes'],
    ['Argon2 with too little memory', `$argon2id$v=19$m=8,t=1,p=2${salted}`, 'not an Argon2 hash'],
    ['Argon2 with a short digest', '$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$CTFhFdXP', 'not an Argon2 hash'],
    ['Argon2 of an unknown kind', `$argon2x$v=19$m=65536,t=1,p=1${salted}`, 'not an Argon2 hash'],
    ['scrypt with 512 MiB', SCRYPT_PASSWORD.replace('ln=8', 'ln=19'), '512 MiB'],
    ['scrypt with 4 GiB by its blocks', SCRYPT_PASSWORD.replace('r=8', 'r=99999').replace('ln=8', 'ln=9'), 'MiB'],
    ['scrypt with 999 lanes', SCRYPT_PASSWORD.replace('p=1', 'p=999'), 'parallelization of 999'],
    ['scrypt without a digest', '$scrypt$ln=8,r=8,p=1$WKs1xljLudd6z9kbY0wpJQ$', 'not a scrypt hash'],
    ['no text', 12_345, 'not the hash'],
  ])('%s', (_, text, message) => {
    const fault = faultOf(text)
    expect(fault).toContain(message)
    expect(fault).toContain('hashPassword(password)')
    if (text !== '') expect(fault).not.toContain(String(text))
  })

  test('no text makes it throw, or take long', () => {
    const parts = fc.constantFrom('$', '$2b$', '$argon2id$', '$scrypt$', 'ln=', 'm=', ',', '9', 'A', '/', '=', '{SHA}')
    fc.assert(fc.property(fc.array(parts, { maxLength: 60 }), (list) => void readPasswordHash(list.join(''))))
    const began = performance.now()
    for (const start of ['$argon2id$m=', '$scrypt$ln=', '$2b$10$', '{']) readPasswordHash(start + '9'.repeat(1_000_000))
    expect(performance.now() - began).toBeLessThan(500)
  })
})

describe('hashPassword()', () => {
  test('makes Argon2id with the parameters of OWASP and a salt of its own each time', async () => {
    const [a, b] = await Promise.all([hashPassword('pässword'), hashPassword('pässword')])
    expect(a).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(a).not.toBe(b)
    expect(await verifyPassword(read(a), 'pässword')).toBe(true)
    expect(await verifyPassword(read(a), 'passwörd')).toBe(false)
  })

  test('refuses what is no password', async () => {
    await expect(hashPassword('')).rejects.toThrow(TypeError)
    await expect(hashPassword(undefined as unknown as string)).rejects.toThrow(TypeError)
  })
})
