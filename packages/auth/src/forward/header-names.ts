/** Fields that frame the message, steer the connection or the handshake, or that the proxy writes itself (RFC 9110 §7.6.1). */
const FORBIDDEN = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'x-client-ip',
  'x-real-ip',
])
const FORBIDDEN_FAMILIES = ['if-', 'sec-', 'x-forwarded-']

/**
 * What is wrong with a header for telling an upstream who is calling; undefined when nothing is.
 *
 * @param name lower case
 */
export function identityHeaderFault(name: string): string | undefined {
  if (FORBIDDEN.has(name) || FORBIDDEN_FAMILIES.some((family) => name.startsWith(family))) {
    return 'a header that has a meaning of its own to the upstream or on the way to it'
  }
  // Servers drop such names, or take `x_user` for `x-user`.
  if (name.includes('_')) return 'a header name with an underscore, which many servers drop or read as "-"'
  return undefined
}
