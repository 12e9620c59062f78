import { ServiceError } from '../http.ts'

/** What payments needs of the inventory. */
export interface Inventory {
  /**
   * @returns what is left of it
   * @throws ServiceError as the inventory answered it, or 503 when it did not
   */
  reserve(wanted: { readonly id: string; readonly sku: string; readonly quantity: number }): Promise<number>
  /** Never throws: what could not be put back is told on stderr, for a person to look at. */
  release(id: string): Promise<void>
}

const TIMEOUT_MS = 2_000

class InventoryUnavailable extends ServiceError {
  /** True when no connection was made. */
  readonly isRefused: boolean

  /** @param cause what `fetch` threw */
  constructor(cause: unknown) {
    super(503, 'inventory_unavailable', 'Stock cannot be looked up right now; nothing was charged.')
    this.cause = cause
    this.isRefused = (cause as { cause?: { code?: string } }).cause?.code === 'ECONNREFUSED'
  }
}

/**
 * The inventory service over HTTP.
 *
 * @param key by which it knows who asks
 */
export function inventoryAt(url: string, key: string): Inventory {
  async function ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    let response: Response
    let answer: Record<string, unknown>
    try {
      response = await fetch(new URL(path, url), {
        method,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: {
          authorization: `Bearer ${key}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      answer = (await response.json()) as Record<string, unknown>
    } catch (error) {
      throw new InventoryUnavailable(error)
    }
    if (response.ok) return answer
    const { error, message, ...details } = answer
    throw new ServiceError(response.status, String(error), String(message), details)
  }

  async function release(id: string): Promise<void> {
    try {
      await ask('DELETE', `/reservations/${encodeURIComponent(id)}`)
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'unknown_reservation') return
      console.error(`Reservation ${id} could not be released`, error)
    }
  }

  return {
    async reserve(wanted) {
      try {
        return Number((await ask('POST', '/reservations', wanted)).available)
      } catch (error) {
        // Without an answer nobody knows whether the stock was set aside; without a connection it was not.
        if (error instanceof InventoryUnavailable && !error.isRefused) void release(wanted.id)
        throw error
      }
    },
    release,
  }
}
