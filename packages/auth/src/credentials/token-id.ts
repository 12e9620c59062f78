import { hash } from 'node:crypto'

/**
 * By what a token is remembered: its SHA-256, so that a table holds nothing that a thief of memory could show. 32 bytes as a text
 * of 32 one-byte characters, the shortest key that JavaScript compares quickly.
 */
export function tokenId(token: string): string {
  return hash('sha256', token, 'binary')
}
