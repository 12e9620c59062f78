import { REDACTED } from './names.ts'

/** Where a path itself holds secrets: `/reset/:token`, or a pattern whose every match is taken out. */
export type SecretPath = string | RegExp

/**
 * Compiles the patterns of an app whose paths hold secrets.
 *
 * A string is compared segment by segment from the start of the path: `:name` is a segment to redact, `*` any segment,
 * everything else itself (encoded or not, in any case); what follows the pattern's end stays. All patterns apply.
 */
export function pathRedactor(patterns: readonly SecretPath[]): (path: string) => string {
  const compiled = patterns.map((pattern) => {
    if (typeof pattern === 'string') return bySegments(pattern)
    const everywhere = new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`)
    return (path: string) => path.replace(everywhere, REDACTED)
  })
  return (path) => {
    let result = path
    for (const redact of compiled) result = redact(result)
    return result
  }
}

function bySegments(pattern: string): (path: string) => string {
  const wanted = segmentsOf(pattern).map((segment) => (isPlaceholder(segment) ? segment : comparable(segment)))
  return (path) => {
    const segments = path.split('/')
    // The pattern is laid over the segments that are not empty, since `//reset/x` may reach the same handler.
    const filled: number[] = []
    for (let i = 0; i < segments.length && filled.length < wanted.length; i++) if (segments[i] !== '') filled.push(i)
    if (filled.length < wanted.length) return path
    for (let i = 0; i < wanted.length; i++) {
      if (!isPlaceholder(wanted[i]!) && wanted[i] !== comparable(segments[filled[i]!]!)) return path
    }
    for (let i = 0; i < wanted.length; i++) if (wanted[i]!.startsWith(':')) segments[filled[i]!] = REDACTED
    return segments.join('/')
  }
}

function isPlaceholder(segment: string): boolean {
  return segment === '*' || segment.startsWith(':')
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '')
}

function comparable(segment: string): string {
  try {
    return decodeURIComponent(segment).toLowerCase()
  } catch {
    return segment.toLowerCase()
  }
}
