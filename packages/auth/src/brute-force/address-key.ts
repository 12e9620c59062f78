import { isIPv6 } from 'node:net'

/**
 * What stands for a client's address where failures are counted. IPv6 by its /64, which is what one customer is given at
 * the least and changes within at will (RFC 6177); IPv4 in its own form, also when it came mapped (RFC 4291 §2.5.5.2) or
 * through NAT64 (RFC 6052 §2.1), whose prefix would else make all its users one.
 */
export function addressKey(address: string): string {
  if (!isIPv6(address)) return address
  const groups = groupsOf(address)
  const [a, b, c, d, e, f, high, low] = groups as [number, number, number, number, number, number, number, number]
  const isMapped = (a | b | c | d | e) === 0 && f === 0xffff
  const isNat64 = a === 0x64 && b === 0xff9b && (c | d | e | f) === 0
  if (isMapped || isNat64) return `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`
  return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}:${d.toString(16)}::/64`
}

/** The eight groups of an address that is known to be one. */
function groupsOf(address: string): number[] {
  const [plain = ''] = address.split('%', 1)
  const [head = '', tail] = plain.split('::') as [string, string | undefined]
  const front = partsOf(head)
  if (tail === undefined) return front
  const back = partsOf(tail)
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back]
}

function partsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a, b, c, d] = part.split('.').map(Number) as [number, number, number, number]
    return [(a << 8) | b, (c << 8) | d]
  })
}
