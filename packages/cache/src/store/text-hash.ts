const MOST_CHARACTERS = 256
const FNV_PRIME = 0x0100_0193

/**
 * A hash of a text, spread evenly over 32 bits. Of a longer text it looks at 256 characters, at places that depend on
 * the seed: with a secret seed nobody can tell which.
 *
 * @returns 0 to 2^32-1
 */
export function textHash(text: string, seed: number): number {
  const { length } = text
  const step = length <= MOST_CHARACTERS ? 1 : Math.ceil(length / MOST_CHARACTERS)
  let hash = seed ^ length
  for (let at = step === 1 ? 0 : seed % step; at < length; at += step) {
    hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME)
  }
  // FNV leaves its low bits poor; they choose the shard.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
