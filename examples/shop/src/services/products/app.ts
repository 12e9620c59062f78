import { type Express, type Response, Router } from 'express'
import { callersOnly, type VerifyCaller } from '../caller.ts'
import { bodyOf, createServiceApp, ServiceError, shortText, wholeNumber } from '../http.ts'
import type { ProductStore } from './store.ts'

/**
 * Fresh for half a minute; for five minutes more it may be shown while it is asked for anew, and for an hour when nobody of
 * us can be asked. Short, since no purge reaches what a browser keeps.
 */
const CACHE_CONTROL = 'public, max-age=30, stale-while-revalidate=300, stale-if-error=3600'

/**
 * The catalogue: lists, one product, categories, and the change of a price. Any number of instances may run. What is for
 * sale is no secret; prices are changed by whom the gateway has let through.
 */
export function createApp(instance: string, store: ProductStore, verify: VerifyCaller): Express {
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
    mayBeCached(res, 'products', ...found.items.map(({ sku }) => `product-${sku}`))
    res.json({ page, pageSize, total: found.total, items: found.items })
  })

  routes.get('/products/:sku', (req, res) => {
    const product = store.find(req.params.sku)
    if (product === undefined) throw unknownProduct()
    mayBeCached(res, 'products', `product-${product.sku}`, `category-${product.category}`)
    res.json(product)
  })

  routes.put('/products/:sku/price', callersOnly(verify))
  routes.put('/products/:sku/price', (req, res) => {
    const { priceCents } = bodyOf(req.body)
    const product = store.setPrice(req.params.sku, wholeNumber(priceCents, 'priceCents', 1, 10_000_000))
    if (product === undefined) throw unknownProduct()
    res.json(product)
  })

  routes.get('/categories', (_req, res) => {
    mayBeCached(res, 'categories')
    res.json({ items: store.categories() })
  })

  return createServiceApp(instance, routes)
}

/**
 * Says how long the answer may be kept, and what it shows: by these tags a cache finds it when that has changed. The ETag,
 * by which it is brought up to date, is Express's own.
 */
function mayBeCached(res: Response, ...tags: readonly string[]): void {
  res.set('Cache-Control', CACHE_CONTROL)
  res.set('Cache-Tag', tags.join(', '))
}

function unknownProduct(): ServiceError {
  return new ServiceError(404, 'unknown_product', 'We sell no such thing.')
}
