/** The few forms of ASN.1's Distinguished Encoding Rules (X.690) that an X.509 certificate is made of. */

/** Tag, length, value. */
export function tlv(tag: number, value: Uint8Array): Buffer {
  const length: number[] = []
  if (value.length < 0x80) length.push(value.length)
  else {
    for (let rest = value.length; rest > 0; rest >>= 8) length.unshift(rest & 0xff)
    length.unshift(0x80 | length.length)
  }
  return Buffer.concat([Buffer.from([tag, ...length]), value])
}

export function sequence(...parts: Uint8Array[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

export function set(...parts: Uint8Array[]): Buffer {
  return tlv(0x31, Buffer.concat(parts))
}

/** A constructed, context-specific field: `[number] EXPLICIT`. */
export function explicit(number: number, value: Uint8Array): Buffer {
  return tlv(0xa0 | number, value)
}

/** A primitive, context-specific field: `[number] IMPLICIT`. */
export function implicit(number: number, value: Uint8Array): Buffer {
  return tlv(0x80 | number, value)
}

/** A non-negative integer given as big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  return tlv(0x02, bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes)
}

export function boolean(value: boolean): Buffer {
  return tlv(0x01, Buffer.of(value ? 0xff : 0))
}

export function octetString(bytes: Uint8Array): Buffer {
  return tlv(0x04, bytes)
}

/** @param unusedBits bits at the end of the last byte that do not count */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tlv(0x03, Buffer.concat([Buffer.of(unusedBits), bytes]))
}

export function utf8String(text: string): Buffer {
  return tlv(0x0c, Buffer.from(text))
}

/** A time up to the year 2049, in seconds. */
export function utcTime(date: Date): Buffer {
  return tlv(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`))
}

/** `1.2.840.10045.4.3.2` */
export function objectIdentifier(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number)
  const bytes = [first! * 40 + second!]
  for (const arc of rest) {
    const group = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) group.unshift(0x80 | (left & 0x7f))
    bytes.push(...group)
  }
  return tlv(0x06, Buffer.from(bytes))
}
