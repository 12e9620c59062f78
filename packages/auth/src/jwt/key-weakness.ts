import type { KeyObject } from 'node:crypto'

const MIN_MODULUS_BITS = 2_048
/** Verifying takes time by the square of it: a provider must not choose how long. */
const MAX_MODULUS_BITS = 8_192
const MAX_EXPONENT = 2n ** 32n

/**
 * What makes a public key unfit whatever the algorithm; undefined when nothing does. The type, the curve and that a point lies
 * on it are looked at elsewhere.
 */
export function weaknessOf(key: KeyObject): string | undefined {
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      return weaknessOfRsa(key)
    case 'ed25519':
      return isOfSmallOrder(key, ED25519) ? 'its point is of small order: anybody can sign for it' : undefined
    case 'ed448':
      return isOfSmallOrder(key, ED448) ? 'its point is of small order: anybody can sign for it' : undefined
    default:
      return undefined
  }
}

function weaknessOfRsa(key: KeyObject): string | undefined {
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = key.asymmetricKeyDetails ?? {}
  // RFC 7518 §3.3 and §3.5.
  if (bits < MIN_MODULUS_BITS) return `its modulus has ${bits} bits, at least ${MIN_MODULUS_BITS} are needed`
  if (bits > MAX_MODULUS_BITS) return `its modulus has ${bits} bits, at most ${MAX_MODULUS_BITS} are taken`
  if (exponent < 3n || exponent > MAX_EXPONENT || exponent % 2n === 0n)
    return 'its exponent is not an odd number from 3 to 2^32'
  return weaknessOfModulus(modulusOf(key, bits, exponent))
}

/**
 * The modulus ends where the exponent begins: both are the last two integers of a SubjectPublicKeyInfo, in DER (RFC 8017 §A.1.1).
 * The export as JWK says it too, but not for id-RSASSA-PSS.
 */
function modulusOf(key: KeyObject, bits: number, exponent: bigint): bigint {
  const der = key.export({ type: 'spki', format: 'der' })
  // An integer with its highest bit set is written with a zero byte before it.
  const exponentBytes = Math.floor(exponent.toString(2).length / 8) + 1
  const end = der.length - exponentBytes - 2
  return BigInt(`0x${der.toString('hex', end - Math.ceil(bits / 8), end)}`)
}

/**
 * ROCA (CVE-2017-15361, Nemec et al. 2017 §3.3): the primes of a faulty library are k·M + (65537^a mod M), M being the product of
 * the first 126 primes or more for moduli of 2,048 bits and more. So the modulus is a power of 65537 modulo each of these primes; of a
 * sound one that holds by chance less than once in 2^160.
 */
function weaknessOfModulus(modulus: bigint): string | undefined {
  let isRoca = true
  for (const { prime, powers } of subgroups()) {
    const residue = Number(modulus % prime)
    if (residue === 0) return `its modulus is divisible by ${prime}`
    if (powers[residue] === 0) isRoca = false
  }
  if (modulus % 2n === 0n) return 'its modulus is divisible by 2'
  return isRoca ? 'its primes can be guessed (ROCA, CVE-2017-15361)' : undefined
}

interface Subgroup {
  readonly prime: bigint
  /** 1 at each residue that is a power of 65537. */
  readonly powers: Uint8Array
}

let cached: readonly Subgroup[] | undefined

/** Of the odd ones of the first 126 primes; made when the first RSA key comes. */
function subgroups(): readonly Subgroup[] {
  cached ??= oddPrimesTo(701).map((prime) => {
    const powers = new Uint8Array(prime)
    for (let power = 1; powers[power] === 0; power = (power * 65_537) % prime) powers[power] = 1
    return { prime: BigInt(prime), powers }
  })
  return cached
}

function oddPrimesTo(last: number): number[] {
  const primes: number[] = []
  for (let n = 3; n <= last; n += 2) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes
}

/** A curve of RFC 8032, as far as its points of small order go. */
interface EdwardsCurve {
  readonly p: bigint
  /** Bytes of a point: y, little-endian, and the sign of x in the highest bit. */
  readonly bytes: number
  /** y of all points whose order divides the cofactor. */
  readonly smallOrderY: ReadonlySet<bigint>
}

const P25519 = 2n ** 255n - 19n
const P448 = 2n ** 448n - 2n ** 224n - 1n
/** y of the points of order eight on edwards25519; the other one is its negative. */
const Y_OF_ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n

const ED25519: EdwardsCurve = {
  p: P25519,
  bytes: 32,
  smallOrderY: new Set([0n, 1n, P25519 - 1n, Y_OF_ORDER_8, P25519 - Y_OF_ORDER_8]),
}
const ED448: EdwardsCurve = { p: P448, bytes: 57, smallOrderY: new Set([0n, 1n, P448 - 1n]) }

/**
 * With a public key of small order, one signature fits every message, or one of eight. RFC 8032 §5.1.7 does not look at the
 * order, and OpenSSL 3.0 verifies with such keys; later ones do not. A key of zero bytes is one of them: what a field that nobody filled looks like.
 */
function isOfSmallOrder(key: KeyObject, curve: EdwardsCurve): boolean {
  const point = key.export({ type: 'spki', format: 'der' }).subarray(-curve.bytes)
  const y = BigInt(`0x${Buffer.from(point).reverse().toString('hex')}`) & (2n ** BigInt(curve.bytes * 8 - 1) - 1n)
  return curve.smallOrderY.has(y % curve.p)
}
