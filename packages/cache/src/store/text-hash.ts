const FNV_PRIME = 0x0100_0193

/**
 * A hash of a text, spread evenly over 32 bits. With a secret seed nobody can tell which texts meet.
 *
 * @returns 0 to 2^32-1
 */
export function textHash(text: string, seed: number): number {
  let hash = seed ^ text.length
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME)
  // FNV leaves its low bits poor.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
