import type { IncomingMessage } from 'node:http'
import { ConfigError, type ConfigFault, type Identity } from '@postern/contracts'
import { readRule } from '../../src/authorize/compile-rule.ts'
import type { Outcome } from '../../src/authorize/outcome.ts'
import type { Rule } from '../../src/authorize/rule.ts'
import { identityOf } from '../../src/scheme.ts'

export function callerOf(parts: Partial<Omit<Identity, 'scopes'>> & { scopes?: readonly string[] } = {}): Identity {
  return identityOf(parts.scheme ?? 'jwt', parts.subject ?? 'alice', parts)
}

/** What a rule says of a caller. */
export function outcomeOf(rule: Rule, caller: Identity, method = 'GET'): Outcome | Promise<Outcome> {
  const req = { method } as IncomingMessage
  const faults: ConfigFault[] = []
  const part = readRule(rule, 1_000, faults)
  if (faults.length > 0) throw new ConfigError('authorize()', faults)
  return part(caller, req)
}

/** The part that failed; `'allowed'` when the rule holds. */
export function failed(rule: Rule, caller: Identity, method?: string): string {
  const outcome = outcomeOf(rule, caller, method)
  if (outcome instanceof Promise) throw new Error('the rule did not answer at once')
  return outcome?.part ?? 'allowed'
}
