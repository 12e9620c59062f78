import type { Identity } from '@postern/contracts'
import { claimAt, namesAt } from '../claim-path.ts'
import { checkClaims } from '../jwt/claims.ts'
import { identityOf, type Refused, refused } from '../scheme.ts'
import type { ResolvedIntrospectionOptions } from './options.ts'

type Claims = Readonly<Record<string, unknown>>
type JudgeOptions = Pick<
  ResolvedIntrospectionOptions,
  'rules' | 'tokenTypes' | 'subject' | 'scopes' | 'roles' | 'name' | 'bindingRequired'
>

const WRONG_TYPE = refused('token-type')
const NO_SUBJECT = refused('no-subject')
const NOT_BOUND = refused('certificate-binding')

/**
 * Whose an active token is. The server has said that it holds; for whom and until when is looked at here all the same: it answers
 * for all its clients (RFC 7662 §4), and caches between keep answers past `exp`.
 *
 * @param wallMs milliseconds since the Unix epoch
 */
export function judge(claims: Claims, options: JudgeOptions, wallMs: number): Identity | Refused {
  const fault = checkClaims(claims, undefined, options.rules, wallMs)
  if (fault !== undefined) return refused(fault)
  if (options.tokenTypes !== undefined && !isOfType(claims.token_type, options.tokenTypes)) return WRONG_TYPE
  if (claims.cnf === undefined && options.bindingRequired) return NOT_BOUND
  const subject = claimAt(claims, options.subject)
  if (typeof subject !== 'string' || subject === '') return NO_SUBJECT
  return identityOf(options.name, subject, {
    scopes: namesAt(claims, options.scopes),
    roles: namesAt(claims, options.roles),
    claims: Object.freeze(claims),
  })
}

/** RFC 6749 §5.1: the name of a token type has no case. */
function isOfType(type: unknown, types: readonly string[]): boolean {
  return typeof type === 'string' && types.includes(type.toLowerCase())
}
