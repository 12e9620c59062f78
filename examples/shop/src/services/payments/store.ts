import { CATALOGUE, CURRENCY } from '../catalogue.ts'
import { inTransaction, openDatabase } from '../database.ts'

export interface Payment {
  readonly id: string
  readonly status: 'paid' | 'declined'
  readonly sku: string
  readonly quantity: number
  readonly amountCents: number
  readonly currency: string
  /** The last four digits; the rest is never stored. */
  readonly card: string
  readonly createdAt: string
}

export interface PaymentStore {
  priceOf(sku: string): number | undefined
  find(id: string): Payment | undefined
  /** @param key the client's idempotency key */
  findByKey(key: string): Payment | undefined
  /** @throws when there is a payment with that key already */
  add(key: string, payment: Omit<Payment, 'currency'>): Payment
  close(): void
}

const SCHEMA = `
CREATE TABLE prices (sku TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents > 0));
CREATE TABLE payments (
  id TEXT PRIMARY KEY,
  idempotency_key TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('paid', 'declined')),
  sku TEXT NOT NULL REFERENCES prices (sku),
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  card TEXT NOT NULL,
  created_at TEXT NOT NULL
);
`

const COLUMNS = `id, status, sku, quantity, amount_cents AS amountCents, '${CURRENCY}' AS currency, card,
  created_at AS createdAt`

export function openPaymentStore(path: string): PaymentStore {
  const database = openDatabase(path, SCHEMA)
  const seed = database.prepare('INSERT INTO prices VALUES (?, ?)')
  inTransaction(database, () => {
    for (const item of CATALOGUE) seed.run(item.sku, item.priceCents)
  })
  const price = database.prepare('SELECT cents FROM prices WHERE sku = ?')
  const byId = database.prepare(`SELECT ${COLUMNS} FROM payments WHERE id = ?`)
  const byKey = database.prepare(`SELECT ${COLUMNS} FROM payments WHERE idempotency_key = ?`)
  const insert = database.prepare(`INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING ${COLUMNS}`)
  return {
    priceOf: (sku) => (price.get(sku) as { cents: number } | undefined)?.cents,
    find: (id) => byId.get(id) as Payment | undefined,
    findByKey: (key) => byKey.get(key) as Payment | undefined,
    add: (key, { id, status, sku, quantity, amountCents, card, createdAt }) =>
      insert.get(id, key, status, sku, quantity, amountCents, card, createdAt) as unknown as Payment,
    close: () => database.close(),
  }
}
