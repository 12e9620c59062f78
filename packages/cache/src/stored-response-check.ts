import { invalidField } from './rules/field-list.ts'
import type { StoredResponse } from './stored-response.ts'

/**
 * Tells whether what a store gave out can be a stored response: of the right shape, and with header fields that may be
 * sent. A store elsewhere may have been written to by somebody else.
 */
export function isStoredResponse(value: unknown): value is StoredResponse {
  if (typeof value !== 'object' || value === null) return false
  const response = value as Partial<Record<keyof StoredResponse, unknown>>
  return (
    TEXTS.every((name) => typeof response[name] === 'string') &&
    NUMBERS.every((name) => typeof response[name] === 'number' && Number.isFinite(response[name])) &&
    LISTS.every((name) => isListOf(response[name], 'string', name === 'varyValues')) &&
    Number.isInteger(response.status) &&
    (response.status as number) >= 200 &&
    (response.status as number) <= 599 &&
    typeof response.noCache === 'boolean' &&
    typeof response.mustRevalidate === 'boolean' &&
    isSendable(response.headers as readonly string[]) &&
    /^[\t\x20-\x7e\x80-\xff]*$/.test(response.statusText as string) &&
    (response.body === undefined || isContent(response.body, response.bodyBytes as number)) &&
    (response.parts === undefined || Array.isArray(response.parts))
  )
}

const TEXTS = ['id', 'variant', 'method', 'statusText', 'partition'] as const
const LISTS = ['headers', 'vary', 'varyValues', 'tags'] as const
const NUMBERS = [
  'dateMs',
  'receivedAtMs',
  'initialAgeMs',
  'lifetimeMs',
  'staleWhileRevalidateMs',
  'staleIfErrorMs',
  'bodyBytes',
] as const

function isListOf(value: unknown, type: 'string', mayMiss: boolean): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === type || (mayMiss && item === undefined))
}

function isSendable(headers: readonly string[]): boolean {
  return headers.length % 2 === 0 && invalidField(headers) === undefined
}

/** True for pieces of content that are as long together as the head says. */
export function isContent(value: unknown, bytes: number): value is readonly Uint8Array[] {
  if (!Array.isArray(value)) return false
  let found = 0
  for (const piece of value) {
    if (!(piece instanceof Uint8Array)) return false
    found += piece.length
  }
  return found === bytes
}
