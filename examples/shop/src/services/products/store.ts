import { CATALOGUE, CURRENCY } from '../catalogue.ts'
import { inTransaction, openDatabase } from '../database.ts'

export interface Product {
  readonly sku: string
  readonly name: string
  readonly category: string
  readonly description: string
  readonly priceCents: number
  readonly currency: string
}

export interface ProductQuery {
  readonly search: string | undefined
  readonly category: string | undefined
  /** From 1. */
  readonly page: number
  readonly pageSize: number
}

export interface ProductStore {
  list(query: ProductQuery): { readonly items: readonly Product[]; readonly total: number }
  find(sku: string): Product | undefined
  categories(): readonly { readonly category: string; readonly products: number }[]
  /** @returns the product as it is now; undefined when there is none */
  setPrice(sku: string, priceCents: number): Product | undefined
  close(): void
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS products (
  sku TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  description TEXT NOT NULL,
  price_cents INTEGER NOT NULL CHECK (price_cents > 0)
);
CREATE INDEX IF NOT EXISTS products_by_category ON products (category, name);
`

const COLUMNS = `sku, name, category, description, price_cents AS priceCents, '${CURRENCY}' AS currency`
const MATCHES = `
  (:category IS NULL OR category = :category)
  AND (:search IS NULL OR name LIKE :search ESCAPE '\\' OR description LIKE :search ESCAPE '\\')`

export function openProductStore(path: string): ProductStore {
  const database = openDatabase(path, SCHEMA)
  const insert = database.prepare('INSERT OR IGNORE INTO products VALUES (?, ?, ?, ?, ?)')
  inTransaction(database, () => {
    for (const item of CATALOGUE) insert.run(item.sku, item.name, item.category, item.description, item.priceCents)
  })
  const count = database.prepare(`SELECT count(*) AS total FROM products WHERE ${MATCHES}`)
  const page = database.prepare(
    `SELECT ${COLUMNS} FROM products WHERE ${MATCHES} ORDER BY name LIMIT :limit OFFSET :offset`,
  )
  const one = database.prepare(`SELECT ${COLUMNS} FROM products WHERE sku = ?`)
  const categories = database.prepare(
    'SELECT category, count(*) AS products FROM products GROUP BY category ORDER BY category',
  )
  const price = database.prepare(`UPDATE products SET price_cents = ? WHERE sku = ? RETURNING ${COLUMNS}`)
  return {
    list(query) {
      const matches = {
        category: query.category ?? null,
        search: query.search === undefined ? null : `%${query.search.replace(/[\\%_]/g, '\\$&')}%`,
      }
      const { total } = count.get(matches) as { total: number }
      const items = page.all({ ...matches, limit: query.pageSize, offset: (query.page - 1) * query.pageSize })
      return { items: items as unknown as Product[], total }
    },
    find: (sku) => one.get(sku) as Product | undefined,
    categories: () => categories.all() as { category: string; products: number }[],
    setPrice: (sku, priceCents) => price.get(priceCents, sku) as Product | undefined,
    close: () => database.close(),
  }
}
