/** The body that upstreams answer with: printable, the same in every process, and not made of one repeated byte. */
export function expectedBody(bytes: number): Buffer {
  const body = Buffer.allocUnsafe(bytes)
  for (let i = 0; i < bytes; i += 1) body[i] = 33 + ((i * 7 + (i >> 8)) % 90)
  return body
}
