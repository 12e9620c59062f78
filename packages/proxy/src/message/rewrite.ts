import type { Client, Target } from '@postern/contracts'

/** How `Location` of an upstream's redirect is treated. */
export type LocationPolicy = 'rewrite' | 'pass'

/** Cookie attributes to change on the way to the client. */
export interface CookieEdits {
  /** New Domain; `null` removes the attribute, so that the cookie belongs to the gateway's host alone. */
  readonly domain?: string | null
  /** New Path: a string for all cookies, or a table of old path to new. */
  readonly path?: string | Readonly<Record<string, string>>
  /** `true` adds Secure, `false` removes it. */
  readonly secure?: boolean
  readonly sameSite?: 'strict' | 'lax' | 'none'
}

/**
 * Points a redirect at the gateway when it points at the target itself, so that no inner address reaches a client and
 * the client comes back through the same door. Redirects to anywhere else, and relative ones that need no change, pass
 * as they came.
 *
 * @param prefix the mount path that Express took off the request, put in front again
 */
export function rewriteLocation(location: string, target: Target, client: Client, prefix: string): string {
  if (/^\/(?![/\\])/.test(location)) {
    return target.basePath === '' && prefix === '' ? location : outerPath(location, target, prefix)
  }
  if (!URL.canParse(location, target.origin)) return location
  const url = new URL(location, target.origin)
  if (!/^https?:$/.test(url.protocol) || url.host !== target.host || client.host === '') return location
  // A relative reference (`next`, `?page=2`) resolves against the client's own URL and needs no change.
  if (!URL.canParse(location) && !/^[/\\]{2}/.test(location)) return location
  return `${client.protocol}://${client.host}${outerPath(`${url.pathname}${url.search}${url.hash}`, target, prefix)}`
}

function outerPath(path: string, target: Target, prefix: string): string {
  const base = target.basePath
  if (base === '') return prefix + path
  if (path === base) return prefix === '' ? '/' : prefix
  const next = path[base.length]
  if (path.startsWith(base) && (next === '/' || next === '?' || next === '#')) {
    const rest = path.slice(base.length)
    if (prefix !== '') return prefix + rest
    // `/base//host` would be left as `//host`, which a browser takes for another host, as it does `/\host`.
    return next === '/' ? rest.replace(/^[/\\\t]+/, '/') : `/${rest}`
  }
  // Outside the base path: nothing behind the gateway's mount corresponds to it.
  return path
}

function newPath(edit: NonNullable<CookieEdits['path']>, before: string): string {
  if (typeof edit === 'string') return edit
  return Object.hasOwn(edit, before) ? edit[before]! : before
}

/** Applies edits to one `Set-Cookie` line; name, value and all other attributes stay byte for byte. */
export function editCookie(line: string, edits: CookieEdits): string {
  const parts = line.split(';')
  const kept = [parts[0]!]
  let hasPath = false
  for (const part of parts.slice(1)) {
    const equals = part.indexOf('=')
    const name = (equals === -1 ? part : part.slice(0, equals)).trim().toLowerCase()
    if (name === 'domain' && edits.domain !== undefined) continue
    if (name === 'secure' && edits.secure !== undefined) continue
    if (name === 'samesite' && edits.sameSite !== undefined) continue
    if (name === 'path' && edits.path !== undefined) {
      const before = equals === -1 ? '' : part.slice(equals + 1).trim()
      hasPath = true
      kept.push(` Path=${newPath(edits.path, before)}`)
      continue
    }
    kept.push(part)
  }
  // Without a Path a browser takes the directory of the request for it.
  if (typeof edits.path === 'string' && !hasPath) kept.push(` Path=${edits.path}`)
  if (typeof edits.domain === 'string') kept.push(` Domain=${edits.domain}`)
  if (edits.secure === true) kept.push(' Secure')
  if (edits.sameSite !== undefined) kept.push(` SameSite=${edits.sameSite[0]!.toUpperCase()}${edits.sameSite.slice(1)}`)
  return kept.join(';')
}
