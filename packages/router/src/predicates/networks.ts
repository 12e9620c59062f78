import { BlockList, isIP, isIPv4 } from 'node:net'

/** A list of networks, read. */
export interface Networks {
  readonly list: BlockList
  /** The same for lists of the same networks. */
  readonly key: string
}

/** A network as it was written, read; undefined when it is none. */
interface Network {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6'
}

/**
 * Reads networks such as `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. IPv4-mapped IPv6 counts as IPv4, in the list and in
 * the addresses asked for.
 *
 * @returns the networks, or the places of those that cannot be read
 */
export function readNetworks(texts: readonly string[]): Networks | readonly number[] {
  const bad: number[] = []
  const list = new BlockList()
  const keys = new Set<string>()
  texts.forEach((text, i) => {
    const network = readNetwork(text)
    if (network === undefined) bad.push(i)
    else {
      list.addSubnet(network.address, network.bits, network.family)
      keys.add(`${network.address}/${network.bits}`)
    }
  })
  return bad.length > 0 ? bad : { list, key: [...keys].sort().join(' ') }
}

/** True when the address is in one of the networks; never for text that is no address. */
export function contains(list: BlockList, address: string): boolean {
  const zone = address.indexOf('%')
  const plain = unmapped(zone === -1 ? address : address.slice(0, zone))
  const family = isIP(plain)
  return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}

function readNetwork(text: string): Network | undefined {
  const match = /^([^/%]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text)
  if (match === null) return undefined
  const given = match[1]!
  const family = isIP(given)
  if (family === 0) return undefined
  const bits = match[2] === undefined ? (family === 4 ? 32 : 128) : Number(match[2])
  if (bits > (family === 4 ? 32 : 128)) return undefined
  const plain = unmapped(given)
  if (family === 4 || plain === given) return { address: plain.toLowerCase(), bits, family: `ipv${family as 4 | 6}` }
  // A mapped network shorter than the mapping itself would be all of IPv4 and more.
  return bits < 96 ? undefined : { address: plain, bits: bits - 96, family: 'ipv4' }
}

/** `::ffff:192.0.2.7` and `::ffff:c000:207` as `192.0.2.7`. */
function unmapped(address: string): string {
  const match = /^(?:::|0:0:0:0:0:|(?:0{1,4}:){5})ffff:(.+)$/i.exec(address)
  if (match === null) return address
  const rest = match[1]!
  if (isIPv4(rest)) return rest
  const words = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(rest)
  if (words === null) return address
  const high = Number.parseInt(words[1]!, 16)
  const low = Number.parseInt(words[2]!, 16)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
