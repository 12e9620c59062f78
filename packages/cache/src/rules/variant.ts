import { hash } from 'node:crypto'

/** What tells the stored responses of one key apart. */
export interface VariantParts {
  readonly partition: string
  /** Lower-case names, sorted. */
  readonly vary: readonly string[]
  /** Normalised values in the order of `vary`; undefined: the field was absent. */
  readonly varyValues: readonly (string | undefined)[]
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly partial: boolean
}

/** Variants up to this many characters stay readable; longer ones are hashed. */
const LONGEST_PLAIN = 256

/**
 * Names the variant of a stored response: equal for two responses of one key exactly when the later one takes the place
 * of the earlier. Responses to GET and POST share a variant, since both may answer GET (RFC 9110 §9.3.3); those to HEAD
 * and partial ones stand beside the complete ones.
 *
 * @returns empty for a complete response that all may share and that does not vary; at most some 300 characters
 */
export function variantOf(parts: VariantParts): string {
  const { partition, vary, varyValues, method, partial } = parts
  const kind = `${method === 'HEAD' ? 'head' : ''}${partial ? 'part' : ''}`
  if (partition === '' && vary.length === 0) return kind
  // Each string goes with its length, so that no choice of values can look like another one.
  let text = `${kind}|${partition.length}:${partition}`
  for (let i = 0; i < vary.length; i++) {
    const name = vary[i]!
    const value = varyValues[i]
    text += `|${name.length}:${name}${value === undefined ? '-' : `=${value.length}:${value}`}`
  }
  if (text.length <= LONGEST_PLAIN) return text
  // UTF-16, since UTF-8 writes all lone surrogates alike.
  return `${kind}#${hash('sha256', Buffer.from(text, 'utf16le'), 'base64url')}`
}
