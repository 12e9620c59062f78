import { type Express, Router } from 'express'
import { callersOnly, type VerifyCaller } from '../caller.ts'
import { bodyOf, createServiceApp, ServiceError, shortText, wholeNumber } from '../http.ts'
import type { InventoryStore } from './store.ts'

/** Stock by sku, and reservations that take some of it aside. */
export function createApp(instance: string, store: InventoryStore, verify: VerifyCaller): Express {
  const routes = Router()

  routes.get('/stock', (_req, res) => {
    res.json({ items: store.list() })
  })

  routes.get('/stock/:sku', (req, res) => {
    const stock = store.find(req.params.sku)
    if (stock === undefined) throw new ServiceError(404, 'unknown_sku', 'We keep no stock of that.')
    res.json(stock)
  })

  routes.post('/reservations', (req, res) => {
    const { id, sku, quantity } = bodyOf(req.body)
    const { reservation, isNew, available } = store.reserve({
      id: id === undefined ? undefined : shortText(id, 'id'),
      sku: shortText(sku, 'sku'),
      quantity: wholeNumber(quantity ?? 1, 'quantity', 1, 1_000),
    })
    res.status(isNew ? 201 : 200).json({ ...reservation, available })
  })

  routes.delete('/reservations/:id', (req, res) => {
    const { reservation, available } = store.release(req.params.id)
    res.json({ released: reservation.quantity, sku: reservation.sku, available })
  })

  return createServiceApp(instance, routes, { guard: callersOnly(verify) })
}
