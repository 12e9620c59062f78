import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { inTransaction, openDatabase } from '../database.ts'
import { type HashedPassword, hashPassword } from './passwords.ts'

export interface Customer {
  /** `customer-1`; no partner of the shop is called like that. */
  readonly id: string
  readonly email: string
  readonly role: 'customer' | 'staff'
}

/** What tokens are signed with. */
export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
}

export interface AccountStore {
  find(email: string): { readonly customer: Customer; readonly password: HashedPassword } | undefined
  /** The same one after a restart: who is signed in stays signed in. */
  readonly key: SigningKey
  /** @throws when the database does not answer */
  check(): void
  close(): void
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS customers (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE COLLATE NOCASE,
  role TEXT NOT NULL CHECK (role IN ('customer', 'staff')),
  salt BLOB NOT NULL,
  hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS signing_keys (kid TEXT PRIMARY KEY, pem TEXT NOT NULL);
`

const CUSTOMERS: readonly Customer[] = [
  { id: 'customer-1', email: 'ada@example.com', role: 'customer' },
  { id: 'customer-2', email: 'ben@example.com', role: 'customer' },
  { id: 'customer-3', email: 'sam@example.com', role: 'staff' },
]

/** @param password of all customers of a new database; one that is there keeps those that it has */
export function openAccountStore(path: string, password: string): AccountStore {
  const database = openDatabase(path, SCHEMA)
  const insert = database.prepare('INSERT OR IGNORE INTO customers VALUES (?, ?, ?, ?, ?)')
  const byEmail = database.prepare('SELECT id, email, role, salt, hash FROM customers WHERE email = ?')
  inTransaction(database, () => {
    for (const { id, email, role } of CUSTOMERS) {
      if (byEmail.get(email) !== undefined) continue
      const { salt, hash } = hashPassword(password)
      insert.run(id, email, role, salt, hash)
    }
  })
  const check = database.prepare('SELECT 1 FROM customers LIMIT 1')
  return {
    find(email) {
      const row = byEmail.get(email) as (Customer & HashedPassword) | undefined
      if (row === undefined) return undefined
      const { salt, hash, ...customer } = row
      return { customer, password: { salt, hash } }
    },
    key: inTransaction(database, () => {
      const select = database.prepare('SELECT kid, pem FROM signing_keys LIMIT 1')
      const stored = select.get() as { kid: string; pem: string } | undefined
      if (stored !== undefined) return { kid: stored.kid, privateKey: createPrivateKey(stored.pem) }
      const key = { kid: randomUUID(), privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }
      const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' })
      database.prepare('INSERT INTO signing_keys VALUES (?, ?)').run(key.kid, pem)
      return key
    }),
    check: () => void check.get(),
    close: () => database.close(),
  }
}
