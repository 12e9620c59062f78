import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCES = path.join(import.meta.dirname, '..', 'src')
const README = readFileSync(path.join(import.meta.dirname, '..', 'README.md'), 'utf8')

function source(file: string): string {
  return readFileSync(path.join(SOURCES, file), 'utf8')
}

const everySource = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map(source)
  .join('\n')

/** The members of an interface at its own depth, each with the words behind `@default`. */
function membersOf(name: string): Map<string, string | undefined> {
  const start = everySource.search(new RegExp(`^export interface ${name}\\b`, 'm'))
  const body = start === -1 ? '' : everySource.slice(start, everySource.indexOf('\n}', start))
  const members = /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)? {2}readonly (\w+)\??:/g
  return new Map(
    [...body.matchAll(members)].map((match) => [match[2]!, /@default (.+?)(?: \*\/)?$/m.exec(match[1] ?? '')?.[1]]),
  )
}

/** The first table behind a text: the first column, without its backticks, and the other columns. */
function tableBehind(text: string): Map<string, readonly string[]> {
  const at = README.indexOf(text)
  expect(at, `the README has ${JSON.stringify(text)}`).toBeGreaterThan(-1)
  const lines = README.slice(at).split('\n')
  const first = lines.findIndex((line) => line.startsWith('|'))
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'))
  const rows = lines.slice(first + 2, first + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  return new Map(rows.map(([name = '', ...rest]) => [name.replaceAll('`', ''), rest]))
}

describe.each([
  ['### `authenticate(', ['AuthenticateOptions']],
  ['`failureLimit`, by address', ['FailureLimitOptions']],
  ['### `jwt(', ['JwtIssuerOptions', 'JwtOptions']],
  ['`jwksUri` (`RemoteKeysOptions`)', ['RemoteKeysOptions']],
  ['### `apiKey(', ['ApiKeyOptions']],
  ['A record (`ApiKeyRecord`)', ['ApiKeyRecord']],
  ['### `basic(', ['BasicOptions']],
  ['### `introspection(', ['IntrospectionOptions']],
  ['### `clientCertificate(', ['ClientCertificateOptions']],
  ['### `passportScheme(', ['PassportSchemeOptions']],
  ['A pattern is refused at start', ['AuthorizeOptions']],
  ['### `forwardIdentity(', ['ForwardIdentityOptions']],
  ['`internalIssuer(options)`:', ['InternalIssuerOptions']],
  ['`exchange` (RFC 8693):', ['TokenExchangeOptions']],
])('the table behind %s', (heading, interfaces) => {
  const members = new Map(interfaces.flatMap((name) => [...membersOf(name)]))

  test('has every option, and no other', () => {
    expect(members.size).toBeGreaterThan(0)
    expect([...tableBehind(heading).keys()].sort()).toEqual([...members.keys()].sort())
  })

  test('tells the defaults that the sources tell', () => {
    const rows = tableBehind(heading)
    const wrong = [...members].flatMap(([name, byDefault]) => {
      // Values are told alike; words may differ.
      const value = /^(?:[\d_]+|true|false|'[^']*'|\{.*\}|\[.*\])/.exec(byDefault ?? '')?.[0]
      const told = rows.get(name)?.[1] ?? ''
      if (value === undefined || told.includes(value) || isMebibytes(value, told)) return []
      return told === 'that of an access token' ? [] : [`${name}: ${value}, not ${told}`]
    })
    expect(wrong).toEqual([])
  })
})

function isMebibytes(value: string, told: string): boolean {
  return told === `${Number(value.replaceAll('_', '')) / 2 ** 20} MiB`
}

test('the rules of authorize() are all in the README', () => {
  const told = [...tableBehind('### `authorize(').keys()].join('\n')
  const members = [...membersOf('RuleParts').keys()]
  expect(members.length).toBeGreaterThan(0)
  const missing = members.filter((name) => !told.includes(`{ ${name}:`))
  expect(missing).toEqual([])
})

test('the channels of the README are those that exist', () => {
  const channels = [...source('channels.ts').matchAll(/export const (\w+):[\s\S]*?'(postern:[a-z:-]+)'/g)]
  const wanted = channels.map(([, name, channel]) => `${channel} (${name})`)
  expect(wanted.length).toBeGreaterThan(0)
  expect([...tableBehind('Diagnostics channels').keys()].sort()).toEqual(wanted.sort())
})

test('the codes of the README are the problems and the warnings that exist', () => {
  const problems = [...source('problems.ts').matchAll(/^ {2}(\w+): \{$/gm)].map((match) => match[1]!)
  const warnings = [...everySource.matchAll(/\bwarnOnce\(\s*'(POSTERN_\w+)'/g)].map((match) => match[1]!)
  const wanted = new Set([...problems, ...warnings, 'POSTERN_CONFIG'])
  expect([...tableBehind('## Errors').keys()].sort()).toEqual([...wanted].sort())
})

test('the reasons that the documentation tells operators of are those of the sources', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/authentication.md'), 'utf8')
  const table = page.slice(page.indexOf('## What is refused'))
  const reasons = table
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/insufficient_scope|access_denied/.test(line))
    .flatMap((line) => [...(line.split('|')[3] ?? '').matchAll(/`([a-z-]+)`/g)].map((match) => match[1]!))
  expect(reasons.length).toBeGreaterThan(20)
  expect(reasons.filter((reason) => !everySource.includes(`'${reason}'`))).toEqual([])
})
