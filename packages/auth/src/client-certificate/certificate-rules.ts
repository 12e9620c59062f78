import type { AlternativeNames } from './alternative-names.ts'
import type { ClientCertificate } from './certificate-facts.ts'
import type { DistinguishedName } from './distinguished-name.ts'

/** A name that a certificate must have; all members of one must be there. */
export type NameRule = ReadonlyMap<string, string>

/** What a certificate must say; undefined: nothing is asked for. A list is fulfilled by any of its members. */
export interface CertificateRules {
  readonly subject: readonly NameRule[] | undefined
  readonly issuer: readonly NameRule[] | undefined
  readonly san: SanRules | undefined
  /** Lower-case hex. */
  readonly fingerprints: ReadonlySet<string> | undefined
}

/** Names of which a certificate must have one, of each kind that is there. */
export type SanRules = { readonly [Kind in keyof AlternativeNames]: readonly string[] | undefined }

/** The kind of rule that a certificate does not fulfil, for the operator; undefined when it fulfils all. */
export function brokenRule(
  certificate: ClientCertificate,
  rules: CertificateRules,
): 'subject' | 'issuer' | 'san' | 'fingerprint' | undefined {
  if (rules.fingerprints?.has(certificate.fingerprint256) === false) return 'fingerprint'
  if (rules.issuer?.some((rule) => hasName(certificate.issuer, rule)) === false) return 'issuer'
  if (rules.subject?.some((rule) => hasName(certificate.subject, rule)) === false) return 'subject'
  if (rules.san !== undefined && !hasAlternatives(certificate.san, rules.san)) return 'san'
  return undefined
}

function hasName(name: DistinguishedName, rule: NameRule): boolean {
  for (const [attribute, wanted] of rule) {
    if (!Object.hasOwn(name, attribute)) return false
    const value = name[attribute]!
    if (typeof value === 'string' ? value !== wanted : !value.includes(wanted)) return false
  }
  return true
}

function hasAlternatives(names: AlternativeNames, { dns, uri, email, ip }: SanRules): boolean {
  return (
    (dns?.some((rule) => names.dns.some((name) => isDnsNamed(name, rule))) ?? true) &&
    (uri?.some((rule) => names.uri.includes(rule)) ?? true) &&
    (email?.some((rule) => names.email.includes(rule)) ?? true) &&
    (ip?.some((rule) => names.ip.includes(rule)) ?? true)
  )
}

/**
 * `*.` stands for one label, as in RFC 9525 §6.3. Here it is the rule that has it: a certificate that is itself for `*.…` names
 * nobody, and fulfils no rule.
 */
function isDnsNamed(name: string, rule: string): boolean {
  if (name.includes('*')) return false
  if (!rule.startsWith('*.')) return name === rule
  const dot = name.indexOf('.')
  return dot > 0 && name.slice(dot) === rule.slice(1)
}
