/**
 * Methods known to be safe: those of RFC 9110 §9.2.1, and from the registry (§16.1) those that caches see in practice.
 * All others, unknown ones too, may have changed something.
 */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH'])

/** True for methods that change nothing (RFC 9110 §9.2.1). */
export function isSafeMethod(method: string): boolean {
  return SAFE_METHODS.has(method)
}

const NONE: readonly string[] = []

/**
 * The URIs whose stored responses a request may have made wrong: its own, and those of `Location` and
 * `Content-Location` when they are of the same origin. Empty for a safe method, and when the answer is not 2xx or 3xx.
 *
 * @param uri the request's; absolute
 * @param location as received, relative or absolute
 * @returns each once; `uri` as it was given, the others begin with the same scheme and authority as it does
 * @see RFC 9111 §4.4
 */
export function invalidatedUris(
  method: string,
  status: number,
  uri: string,
  location: string | undefined,
  contentLocation: string | undefined,
): readonly string[] {
  if (isSafeMethod(method) || status < 200 || status > 399) return NONE
  const uris = [uri]
  if (location === undefined && contentLocation === undefined) return uris
  addSameOrigin(uris, uri, location)
  addSameOrigin(uris, uri, contentLocation)
  return uris
}

/** Other origins are left alone, or anyone could empty the cache of anyone (§4.4). */
function addSameOrigin(uris: string[], uri: string, reference: string | undefined): void {
  if (reference === undefined || !URL.canParse(reference, uri)) return
  const base = new URL(uri)
  const target = new URL(reference, base)
  if (target.origin !== base.origin || target.origin === 'null') return
  const found = originAsWritten(uri) + target.pathname + target.search
  if (!uris.includes(found)) uris.push(found)
}

/** `https://shop.example` of `https://shop.example/products?page=2`. */
function originAsWritten(uri: string): string {
  const authority = uri.indexOf('//') + 2
  for (let at = authority; at < uri.length; at += 1) {
    const character = uri[at]
    if (character === '/' || character === '?' || character === '#') return uri.slice(0, at)
  }
  return uri
}
