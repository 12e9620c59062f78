import { randomUUID } from 'node:crypto'
import { CATALOGUE } from '../catalogue.ts'
import { inTransaction, openDatabase } from '../database.ts'
import { ServiceError } from '../http.ts'

export interface Stock {
  readonly sku: string
  readonly available: number
  readonly reserved: number
}

export interface Reservation {
  readonly id: string
  readonly sku: string
  readonly quantity: number
}

export interface InventoryStore {
  list(): readonly Stock[]
  find(sku: string): Stock | undefined
  /**
   * Takes stock aside. The same id again is the same reservation.
   *
   * @throws ServiceError 404 for an unknown sku, 409 when there is not enough
   */
  reserve(wanted: { id?: string | undefined; sku: string; quantity: number }): {
    readonly reservation: Reservation
    readonly isNew: boolean
    readonly available: number
  }
  /**
   * Puts reserved stock back. A reservation is gone once it was released.
   *
   * @throws ServiceError 404 for an unknown or released reservation
   */
  release(id: string): { readonly reservation: Reservation; readonly available: number }
  close(): void
}

// The checks make an oversold shop impossible, whatever the code above them does.
const SCHEMA = `
CREATE TABLE IF NOT EXISTS stock (
  sku TEXT PRIMARY KEY,
  available INTEGER NOT NULL CHECK (available >= 0)
);
CREATE TABLE IF NOT EXISTS reservations (
  id TEXT PRIMARY KEY,
  sku TEXT NOT NULL REFERENCES stock (sku),
  quantity INTEGER NOT NULL CHECK (quantity > 0)
);
CREATE INDEX IF NOT EXISTS reservations_by_sku ON reservations (sku);
`

const STOCK = `
SELECT stock.sku, available, coalesce(sum(quantity), 0) AS reserved
FROM stock LEFT JOIN reservations ON reservations.sku = stock.sku`

export function openInventoryStore(path: string): InventoryStore {
  const database = openDatabase(path, SCHEMA)
  // What was sold before this process stays sold.
  const seed = database.prepare('INSERT OR IGNORE INTO stock VALUES (?, ?)')
  inTransaction(database, () => {
    for (const item of CATALOGUE) seed.run(item.sku, item.stock)
  })
  const all = database.prepare(`${STOCK} GROUP BY stock.sku ORDER BY stock.sku`)
  const one = database.prepare(`${STOCK} WHERE stock.sku = ? GROUP BY stock.sku`)
  const take = database.prepare(
    'UPDATE stock SET available = available - :quantity WHERE sku = :sku AND available >= :quantity RETURNING available',
  )
  const putBack = database.prepare(
    'UPDATE stock SET available = available + :quantity WHERE sku = :sku RETURNING available',
  )
  const add = database.prepare('INSERT INTO reservations VALUES (?, ?, ?)')
  const held = database.prepare('SELECT id, sku, quantity FROM reservations WHERE id = ?')
  const remove = database.prepare('DELETE FROM reservations WHERE id = ? RETURNING id, sku, quantity')

  function find(sku: string): Stock | undefined {
    return one.get(sku) as Stock | undefined
  }

  return {
    list: () => all.all() as unknown as Stock[],
    find,
    reserve({ id = randomUUID(), sku, quantity }) {
      return inTransaction(database, () => {
        const stock = find(sku)
        if (stock === undefined) throw new ServiceError(404, 'unknown_sku', 'We keep no stock of that.')
        const before = held.get(id) as Reservation | undefined
        if (before !== undefined) {
          if (before.sku === sku && before.quantity === quantity) {
            return { reservation: before, isNew: false, available: stock.available }
          }
          throw new ServiceError(409, 'reservation_exists', 'That id belongs to another reservation.')
        }
        const left = take.get({ sku, quantity }) as { available: number } | undefined
        if (left === undefined) {
          throw new ServiceError(409, 'out_of_stock', 'There is not enough left of it.', {
            sku,
            available: stock.available,
          })
        }
        add.run(id, sku, quantity)
        return { reservation: { id, sku, quantity }, isNew: true, available: left.available }
      })
    },
    release(id) {
      return inTransaction(database, () => {
        const reservation = remove.get(id) as Reservation | undefined
        if (reservation === undefined) {
          throw new ServiceError(404, 'unknown_reservation', 'There is no such reservation, or it was released.')
        }
        const { sku, quantity } = reservation
        const { available } = putBack.get({ sku, quantity }) as { available: number }
        return { reservation, available }
      })
    },
    close: () => database.close(),
  }
}
