import { nearest } from '@postern/contracts'
import * as v from 'valibot'
import { readOrigin } from './origin.ts'
import type { TokenSource, TokenSourceKind } from './token-source.ts'

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/
const MEMBERS: Readonly<Record<Exclude<TokenSourceKind, 'function'>, readonly string[]>> = {
  header: ['header', 'scheme'],
  query: ['query'],
  cookie: ['cookie', 'origins'],
  subprotocol: ['subprotocol'],
}
/** Fields that are lists of something, in which a token is found by another kind of source. */
const LISTS: Readonly<Record<string, string>> = {
  cookie: 'write { cookie: "<its name>" }',
  'sec-websocket-protocol': 'write { subprotocol: "<marker>" }',
}
const MOST_SOURCES = 8

type Report = (at: readonly (string | number)[], message: string, received: unknown) => void

/**
 * The schema of an option that says where tokens are: one source or a list of them.
 *
 * @param kinds what the scheme at hand may read
 * @param byDefault where tokens are when the option is left out; without it, it has to be given
 */
export function tokenSourcesOption(
  kinds: readonly TokenSourceKind[],
  byDefault?: TokenSource | readonly TokenSource[],
): v.GenericSchema<unknown, readonly TokenSource[]> {
  const schema = v.pipe(
    v.unknown(),
    v.rawTransform<unknown, readonly TokenSource[]>(({ dataset, addIssue, NEVER }) => {
      let isSound = true
      const report: Report = (at, message, input) => {
        isSound = false
        const [key, ...more] = at.map((each) => ({ ...PATH_ITEM, key: each }))
        addIssue({ message, input, ...(key === undefined ? null : { path: [key, ...more] }) })
      }
      const sources = readSources(dataset.value, kinds, report)
      return isSound ? sources : NEVER
    }),
  )
  return byDefault === undefined ? schema : v.optional(schema, () => byDefault)
}

/** Of a path only the keys are read. */
const PATH_ITEM = { type: 'unknown', origin: 'value', input: undefined, value: undefined } as const

function readSources(given: unknown, kinds: readonly TokenSourceKind[], report: Report): readonly TokenSource[] {
  if (!Array.isArray(given)) {
    checkSource(given, [], kinds, report)
    return Object.freeze([given as TokenSource])
  }
  if (given.length === 0 || given.length > MOST_SOURCES) {
    report([], `not a source or a list of 1 to ${MOST_SOURCES} of them`, given)
  }
  const seen = new Map<string, number>()
  given.forEach((source: unknown, i) => {
    const place = checkSource(source, [i], kinds, report)
    if (place === undefined) return
    const first = seen.get(place)
    // A request would show its token twice, and be refused.
    if (first !== undefined) report([i], `the same place as the source at ${first}`, source)
    else seen.set(place, i)
  })
  return Object.freeze([...given])
}

/** @returns what names the place; undefined when it has no name, or the source is wrong */
function checkSource(
  source: unknown,
  at: readonly (string | number)[],
  kinds: readonly TokenSourceKind[],
  report: Report,
): string | undefined {
  const kind = kindOf(source)
  if (kind === undefined || !kinds.includes(kind)) {
    report(at, `not a source of tokens; write ${kinds.map((each) => FORMS[each]).join(' or ')}`, source)
    return undefined
  }
  if (kind === 'function') {
    if ((source as () => unknown).constructor.name === 'AsyncFunction') {
      report(at, 'an async function; tokens are found synchronously', source)
    }
    return undefined
  }
  if (source === 'header') return 'header authorization bearer'
  const members = source as Readonly<Record<string, unknown>>
  const name = members[kind]
  for (const member of Object.keys(members)) {
    if (MEMBERS[kind].includes(member)) continue
    const near = nearest(member, MEMBERS[kind])
    const cure = near === undefined ? `known here: ${MEMBERS[kind].join(', ')}` : `did you mean "${near}"?`
    report([...at, member], `unknown option; ${cure}`, members[member])
  }
  if (!isName(kind, name)) {
    report([...at, kind], kind === 'query' ? 'not a name of 1 to 128 characters' : NOT_A_TOKEN, name)
    return undefined
  }
  if (kind === 'header') return checkHeader(name, members.scheme, at, report)
  if (kind === 'cookie') checkOrigins(members.origins, [...at, 'origins'], report)
  return `${kind} ${name}`
}

const NOT_A_TOKEN = 'not 1 to 128 letters, digits and other characters that names are made of'

const FORMS: Readonly<Record<TokenSourceKind, string>> = {
  header: '"header", { header, scheme }',
  query: '{ query }',
  cookie: '{ cookie, origins }',
  subprotocol: '{ subprotocol }',
  function: '(req) => string | undefined',
}

function kindOf(source: unknown): TokenSourceKind | undefined {
  if (source === 'header') return 'header'
  if (typeof source === 'function') return 'function'
  if (typeof source !== 'object' || source === null || Array.isArray(source)) return undefined
  const found = (Object.keys(MEMBERS) as (keyof typeof MEMBERS)[]).filter((kind) => Object.hasOwn(source, kind))
  return found.length === 1 ? found[0] : undefined
}

function isName(kind: TokenSourceKind, name: unknown): name is string {
  if (typeof name !== 'string') return false
  return kind === 'query' ? name.length > 0 && name.length <= 128 : TOKEN.test(name)
}

function checkHeader(header: string, scheme: unknown, at: readonly (string | number)[], report: Report): string {
  const name = header.toLowerCase()
  const cure = LISTS[name]
  if (cure !== undefined) report([...at, 'header'], `a field that is a list; ${cure}`, header)
  if (scheme === undefined) return `header ${name}`
  if (typeof scheme !== 'string' || !TOKEN.test(scheme)) report([...at, 'scheme'], NOT_A_TOKEN, scheme)
  return `header ${name} ${String(scheme).toLowerCase()}`
}

function checkOrigins(origins: unknown, at: readonly (string | number)[], report: Report): void {
  if (origins === undefined || origins === false) return
  if (!Array.isArray(origins)) {
    report(at, 'not false or a list of origins', origins)
    return
  }
  origins.forEach((origin: unknown, i) => {
    if (typeof origin === 'string' && readOrigin(origin) !== undefined) return
    report([...at, i], 'not an origin; write https://app.example.com, with its port where that is not 443', origin)
  })
}
