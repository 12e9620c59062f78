/** Why a route did not get a request. */
export type Loss =
  | { readonly kind: 'path' }
  | { readonly kind: 'host' }
  | { readonly kind: 'method' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }
  | { readonly kind: 'client' }
  | { readonly kind: 'when' }
  /** It matches, and so does a more specific one. */
  | { readonly kind: 'less_specific'; readonly than: string }

export const LOST_BY_CLIENT: Loss = Object.freeze({ kind: 'client' })
export const LOST_BY_WHEN: Loss = Object.freeze({ kind: 'when' })
