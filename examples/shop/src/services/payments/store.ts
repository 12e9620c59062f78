import { randomUUID } from 'node:crypto'
import { CATALOGUE, CURRENCY } from '../catalogue.ts'
import { inTransaction, openDatabase } from '../database.ts'

export interface Payment {
  readonly id: string
  /** Who made it, and alone sees it. */
  readonly customer: string
  readonly status: 'paid' | 'declined'
  readonly sku: string
  readonly quantity: number
  readonly amountCents: number
  readonly currency: string
  /** The last four digits; the rest is never stored. */
  readonly card: string
  readonly createdAt: string
}

/** What an order is known by: two customers may choose the same key, and know nothing of each other. */
export interface OrderKey {
  readonly customer: string
  /** The client's idempotency key. */
  readonly key: string
}

export interface PaymentStore {
  priceOf(sku: string): number | undefined
  find(id: string): Payment | undefined
  findByKey(order: OrderKey): Payment | undefined
  /** @throws when the customer has a payment with that key already */
  add(key: string, payment: Omit<Payment, 'currency'>): Payment
  /**
   * Notes that an order is under way.
   *
   * @returns the id under which its stock is reserved and its card charged; the same as before when this process was killed
   * half way, so that neither is done twice
   */
  begin(order: OrderKey): string
  /** The order is no longer under way, whatever it came to. */
  end(order: OrderKey): void
  /** @throws when the database does not answer */
  check(): void
  close(): void
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS prices (sku TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents > 0));
CREATE TABLE IF NOT EXISTS payments (
  id TEXT PRIMARY KEY,
  customer TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('paid', 'declined')),
  sku TEXT NOT NULL REFERENCES prices (sku),
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  card TEXT NOT NULL,
  created_at TEXT NOT NULL,
  UNIQUE (customer, idempotency_key)
);
CREATE TABLE IF NOT EXISTS orders_under_way (
  customer TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  reservation TEXT NOT NULL,
  PRIMARY KEY (customer, idempotency_key)
);
`

const COLUMNS = `id, customer, status, sku, quantity, amount_cents AS amountCents, '${CURRENCY}' AS currency, card,
  created_at AS createdAt`

export function openPaymentStore(path: string): PaymentStore {
  const database = openDatabase(path, SCHEMA)
  const seed = database.prepare('INSERT OR IGNORE INTO prices VALUES (?, ?)')
  inTransaction(database, () => {
    for (const item of CATALOGUE) seed.run(item.sku, item.priceCents)
  })
  const price = database.prepare('SELECT cents FROM prices WHERE sku = ?')
  const byId = database.prepare(`SELECT ${COLUMNS} FROM payments WHERE id = ?`)
  const byKey = database.prepare(`SELECT ${COLUMNS} FROM payments WHERE customer = ? AND idempotency_key = ?`)
  const insert = database.prepare(`INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING ${COLUMNS}`)
  const begin = database.prepare(`
    INSERT INTO orders_under_way VALUES (?, ?, ?)
    ON CONFLICT (customer, idempotency_key) DO UPDATE SET reservation = reservation
    RETURNING reservation`)
  const end = database.prepare('DELETE FROM orders_under_way WHERE customer = ? AND idempotency_key = ?')
  const check = database.prepare('SELECT 1 FROM payments LIMIT 1')
  return {
    priceOf: (sku) => (price.get(sku) as { cents: number } | undefined)?.cents,
    find: (id) => byId.get(id) as Payment | undefined,
    findByKey: ({ customer, key }) => byKey.get(customer, key) as Payment | undefined,
    add: (key, { id, customer, status, sku, quantity, amountCents, card, createdAt }) =>
      insert.get(id, customer, key, status, sku, quantity, amountCents, card, createdAt) as unknown as Payment,
    begin: ({ customer, key }) => (begin.get(customer, key, randomUUID()) as { reservation: string }).reservation,
    end: ({ customer, key }) => void end.run(customer, key),
    check: () => void check.get(),
    close: () => database.close(),
  }
}
