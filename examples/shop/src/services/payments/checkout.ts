import { randomUUID } from 'node:crypto'
import { ServiceError } from '../http.ts'
import { charge } from './bank.ts'
import type { Inventory } from './inventory.ts'
import type { OrderKey, Payment, PaymentStore } from './store.ts'

export interface Order {
  readonly sku: string
  readonly quantity: number
  /** Digits only. */
  readonly card: string
}

/** What is told of orders: to the customer whose payment it is, and to the shop's staff. */
export type OrderEvent =
  | { readonly type: 'order.paid'; readonly payment: Payment }
  | { readonly type: 'stock.low'; readonly sku: string; readonly available: number }

export interface Checkout {
  /**
   * Reserves the stock, charges the card, keeps the result. The same key of the same customer again gives the same payment
   * and does nothing.
   *
   * @throws ServiceError 404 unknown sku, 409 out of stock, 422 key used for another order, 503 no inventory; then the
   * key is free again, since nothing was charged
   */
  pay(key: OrderKey, order: Order): Promise<{ readonly payment: Payment; readonly isReplay: boolean }>
}

/** At so many left, the back office is told to order more. */
const LOW_STOCK = 3

export function createCheckout(store: PaymentStore, inventory: Inventory, tell: (event: OrderEvent) => void): Checkout {
  /** Payments that are being made, so that a client that asks twice at a time is charged once, too. */
  const underWay = new Map<string, { readonly order: Order; readonly payment: Promise<Payment> }>()

  async function execute(key: OrderKey, { sku, quantity, card }: Order): Promise<Payment> {
    const priceCents = store.priceOf(sku)
    if (priceCents === undefined) throw new ServiceError(404, 'unknown_sku', 'We sell no such thing.')
    // Known to us, the inventory and the bank alone: whoever knows it may release the stock.
    const reservation = store.begin(key)
    try {
      return await carryOut(key, reservation, { sku, quantity, card }, priceCents)
    } finally {
      store.end(key)
    }
  }

  async function carryOut(
    { customer, key }: OrderKey,
    reservation: string,
    { sku, quantity, card }: Order,
    priceCents: number,
  ): Promise<Payment> {
    const available = await inventory.reserve({ id: reservation, sku, quantity })
    let isPaid = false
    try {
      isPaid = await charge(card, reservation)
    } finally {
      if (!isPaid) await inventory.release(reservation)
    }
    const payment = store.add(key, {
      id: randomUUID(),
      customer,
      status: isPaid ? 'paid' : 'declined',
      sku,
      quantity,
      amountCents: priceCents * quantity,
      card: lastFour(card),
      createdAt: new Date().toISOString(),
    })
    if (isPaid) {
      tell({ type: 'order.paid', payment })
      if (available <= LOW_STOCK) tell({ type: 'stock.low', sku, available })
    }
    return payment
  }

  return {
    async pay(key, order) {
      const id = JSON.stringify([key.customer, key.key])
      const before = store.findByKey(key)
      if (before !== undefined) {
        assertSameOrder(before, { ...order, card: lastFour(order.card) })
        return { payment: before, isReplay: true }
      }
      const running = underWay.get(id)
      if (running !== undefined) {
        assertSameOrder(running.order, order)
        return { payment: await running.payment, isReplay: true }
      }
      const payment = execute(key, order)
      underWay.set(id, { order, payment })
      try {
        return { payment: await payment, isReplay: false }
      } finally {
        underWay.delete(id)
      }
    },
  }
}

function assertSameOrder(before: Order, now: Order): void {
  if (before.sku === now.sku && before.quantity === now.quantity && before.card === now.card) return
  throw new ServiceError(422, 'idempotency_key_reused', 'That Idempotency-Key was used for another order.')
}

function lastFour(card: string): string {
  return card.slice(-4)
}
