import type { ApiKeyEntry } from './record.ts'

/** Keys that are all known ahead, by their hash. */
export class KeyTable {
  #entries: ReadonlyMap<string, ApiKeyEntry>

  constructor(entries: readonly ApiKeyEntry[]) {
    this.#entries = byHash(entries)
  }

  find(hash: string): ApiKeyEntry | undefined {
    return this.#entries.get(hash)
  }

  /** Puts others in their place, all at once. When a key that stays was last used is still known. */
  replace(entries: readonly ApiKeyEntry[]): void {
    for (const entry of entries) {
      const before = this.#entries.get(entry.hash)
      if (before?.id === entry.id) entry.toldAtMs = before.toldAtMs
    }
    this.#entries = byHash(entries)
  }
}

function byHash(entries: readonly ApiKeyEntry[]): ReadonlyMap<string, ApiKeyEntry> {
  return new Map(entries.map((entry) => [entry.hash, entry]))
}
