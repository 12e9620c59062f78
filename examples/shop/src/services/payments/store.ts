import { randomUUID } from 'node:crypto'
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
  /**
   * Notes that an order is under way.
   *
   * @returns the id under which its stock is reserved and its card charged; the same as before when this process was killed
   * half way, so that neither is done twice
   */
  begin(key: string): string
  /** The order is no longer under way, whatever it came to. */
  end(key: string): void
  /** @throws when the database does not answer */
  check(): void
  close(): void
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS prices (sku TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents > 0));
CREATE TABLE IF NOT EXISTS payments (
  id TEXT PRIMARY KEY,
  idempotency_key TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('paid', 'declined')),
  sku TEXT NOT NULL REFERENCES prices (sku),
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  card TEXT NOT NULL,
  created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS orders_under_way (
  idempotency_key TEXT PRIMARY KEY,
  reservation TEXT NOT NULL
);
`

const COLUMNS = `id, status, sku, quantity, amount_cents AS amountCents, '${CURRENCY}' AS currency, card,
  created_at AS createdAt`

export function openPaymentStore(path: string): PaymentStore {
  const database = openDatabase(path, SCHEMA)
  const seed = database.prepare('INSERT OR IGNORE INTO prices VALUES (?, ?)')
  inTransaction(database, () => {
    for (const item of CATALOGUE) seed.run(item.sku, item.priceCents)
  })
  const price = database.prepare('SELECT cents FROM prices WHERE sku = ?')
  const byId = database.prepare(`SELECT ${COLUMNS} FROM payments WHERE id = ?`)
  const byKey = database.prepare(`SELECT ${COLUMNS} FROM payments WHERE idempotency_key = ?`)
  const insert = database.prepare(`INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING ${COLUMNS}`)
  const begin = database.prepare(`
    INSERT INTO orders_under_way VALUES (?, ?)
    ON CONFLICT (idempotency_key) DO UPDATE SET reservation = reservation
    RETURNING reservation`)
  const end = database.prepare('DELETE FROM orders_under_way WHERE idempotency_key = ?')
  const check = database.prepare('SELECT 1 FROM payments LIMIT 1')
  return {
    priceOf: (sku) => (price.get(sku) as { cents: number } | undefined)?.cents,
    find: (id) => byId.get(id) as Payment | undefined,
    findByKey: (key) => byKey.get(key) as Payment | undefined,
    add: (key, { id, status, sku, quantity, amountCents, card, createdAt }) =>
      insert.get(id, key, status, sku, quantity, amountCents, card, createdAt) as unknown as Payment,
    begin: (key) => (begin.get(key, randomUUID()) as { reservation: string }).reservation,
    end: (key) => void end.run(key),
    check: () => void check.get(),
    close: () => database.close(),
  }
}
