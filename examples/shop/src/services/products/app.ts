import { type Express, Router } from 'express'
import { createServiceApp, ServiceError, shortText, wholeNumber } from '../http.ts'
import type { ProductStore } from './store.ts'

/** The catalogue: lists, one product, categories. Reads only, so that any number of instances may run. */
export function createApp(instance: string, store: ProductStore): Express {
  const routes = Router()

  routes.get('/products', (req, res) => {
    const { search, category } = req.query
    const page = wholeNumber(req.query.page ?? 1, 'page', 1, 10_000)
    const pageSize = wholeNumber(req.query.pageSize ?? 5, 'pageSize', 1, 100)
    const found = store.list({
      search: search === undefined ? undefined : shortText(search, 'search'),
      category: category === undefined ? undefined : shortText(category, 'category'),
      page,
      pageSize,
    })
    res.json({ page, pageSize, total: found.total, items: found.items })
  })

  routes.get('/products/:sku', (req, res) => {
    const product = store.find(req.params.sku)
    if (product === undefined) throw new ServiceError(404, 'unknown_product', 'We sell no such thing.')
    res.json(product)
  })

  routes.get('/categories', (_req, res) => {
    res.json({ items: store.categories() })
  })

  return createServiceApp(instance, routes)
}
