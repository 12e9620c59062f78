import type { RequestHandler } from 'express'

/**
 * Watches requests for `/products/:sku/price`, and tells which product may have another price afterwards: all those that
 * the products service did not refuse.
 */
export function onPriceChange(tell: (sku: string) => void): RequestHandler {
  return function priceChangeHandler(req, res, next) {
    const exchange = req.gateway
    const sku = exchange?.route?.params.sku
    // `close`, not `finish`: a caller may leave after the service has read the new price and before it has answered.
    res.once('close', () => {
      const isRefused = res.statusCode >= 400 && exchange?.failure === undefined
      if (typeof sku === 'string' && !isRefused) tell(sku)
    })
    next()
  }
}
