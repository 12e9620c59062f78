/**
 * The value of a claim: the member of that very name (`https://example.com/roles`), else by a path of members with dots
 * between them (`realm_access.roles`). Own members only.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  if (!path.includes('.')) return undefined
  let value: unknown = claims
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** A claim that lists names: a list of texts, or one text with spaces between (RFC 6749 §3.3). Anything else lists none. */
export function namesAt(claims: Readonly<Record<string, unknown>>, path: string): readonly string[] {
  const value = claimAt(claims, path)
  if (typeof value === 'string') return value.split(' ').filter((name) => name !== '')
  if (Array.isArray(value)) return value.filter((name): name is string => typeof name === 'string' && name !== '')
  return []
}
