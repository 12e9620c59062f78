import { generateApiKey, hashApiKey } from '../../src/api-key/generate.ts'
import { type ApiKeyOptions, resolveApiKeyOptions } from '../../src/api-key/options.ts'
import type { ApiKeyRecord } from '../../src/api-key/record.ts'
import { ApiKeyScheme } from '../../src/api-key/scheme.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'

export const NOON = Date.UTC(2026, 5, 1, 12)

export interface Held {
  readonly scheme: ApiKeyScheme
  readonly clock: ManualClock
}

export function apiKeys(options: ApiKeyOptions): Held {
  const clock = manualClock(NOON)
  return { scheme: new ApiKeyScheme(resolveApiKeyOptions({ clock, ...options })), clock }
}

/** A key and its record. */
export function keyOf(subject: string, more: Partial<ApiKeyRecord> = {}): { key: string; record: ApiKeyRecord } {
  const { key, id } = generateApiKey({ prefix: 'acme_' })
  return { key, record: { id, hash: hashApiKey(key), subject, ...more } }
}
