/** The error of a challenge (RFC 6750 §3.1). */
export type ChallengeError = 'invalid_request' | 'invalid_token' | 'insufficient_scope'

/** All that a client is told. Which check failed is for the operator alone. */
const DESCRIPTIONS: Readonly<Record<ChallengeError, string>> = {
  invalid_request: 'The request shows credentials more than once',
  invalid_token: 'The credentials do not hold',
  insufficient_scope: 'The credentials do not cover the request',
}

/**
 * The value of a `WWW-Authenticate` line for `Bearer`, and for the schemes here that borrow its parameters (RFC 6750 §3).
 *
 * @param scheme the authentication scheme as it is written: `Bearer`, `ApiKey`
 * @param scope space-separated
 */
export function bearerChallenge(scheme: string, realm: string, error?: ChallengeError, scope?: string): string {
  let text = `${scheme} realm="${realm}"`
  if (error !== undefined) text += `, error="${error}", error_description="${DESCRIPTIONS[error]}"`
  if (scope !== undefined) text += `, scope="${scope}"`
  return text
}
