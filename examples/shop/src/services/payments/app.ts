import { type Express, Router } from 'express'
import { callerOf, callersOnly, type VerifyCaller } from '../caller.ts'
import { bodyOf, createServiceApp, ServiceError, shortText, wholeNumber } from '../http.ts'
import type { Checkout } from './checkout.ts'
import type { Payment, PaymentStore } from './store.ts'

/**
 * Paying, and what was paid. The gateway says who is calling and lets those through who may pay; which payments are whose
 * is known here alone.
 */
export function createApp(instance: string, store: PaymentStore, checkout: Checkout, verify: VerifyCaller): Express {
  const routes = Router()

  routes.post('/payments', async (req, res) => {
    const key = shortText(req.get('idempotency-key'), 'The header Idempotency-Key', 128)
    const { sku, quantity, card } = bodyOf(req.body)
    const { payment, isReplay } = await checkout.pay(
      { customer: callerOf(res).subject, key },
      {
        sku: shortText(sku, 'sku'),
        quantity: wholeNumber(quantity ?? 1, 'quantity', 1, 1_000),
        card: cardNumber(card),
      },
    )
    if (isReplay) res.set('Idempotency-Replayed', 'true')
    if (payment.status === 'paid') {
      res
        .status(isReplay ? 200 : 201)
        .location(`/payments/${payment.id}`)
        .json(shown(payment))
    } else {
      throw new ServiceError(402, 'card_declined', 'The bank declined the card; nothing was charged.', {
        payment: shown(payment),
      })
    }
  })

  routes.get('/payments/:id', (req, res) => {
    const payment = store.find(req.params.id)
    // Somebody else's is answered like one that is not there.
    if (payment?.customer !== callerOf(res).subject)
      throw new ServiceError(404, 'unknown_payment', 'There is no such payment.')
    res.json(shown(payment))
  })

  return createServiceApp(instance, routes, { check: store.check, guard: callersOnly(verify) })
}

function cardNumber(value: unknown): string {
  const digits = typeof value === 'string' ? value.replaceAll(' ', '') : ''
  if (/^\d{12,19}$/.test(digits)) return digits
  throw new ServiceError(400, 'bad_request', 'card must be a text of 12 to 19 digits.')
}

function shown(payment: Payment): Payment {
  return { ...payment, card: `**** ${payment.card}` }
}
