import { trimSpace } from './field-list.ts'

/** Fields that are no lists: a comma in them is text, and the spaces round it too. */
const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  'content-location',
  'content-type',
  'cookie',
  'date',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'origin',
  'proxy-authorization',
  'referer',
  'user-agent',
])

/** Members of lists with weights, by field. */
const WEIGHTED: ReadonlyMap<string, RegExp> = new Map([
  ['accept', /^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+$/],
  ['accept-charset', /^[!#$%&'*+.^_`|~0-9a-z-]+$/],
  ['accept-encoding', /^[!#$%&'*+.^_`|~0-9a-z-]+$/],
  ['accept-language', /^[*0-9a-z-]+$/],
])

const PARAMETER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*")$/
const WEIGHT = /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/

/** Longer values stay as they are: nobody sends them but to make us work. */
const LONGEST_NORMALISED = 4096

/**
 * Brings the value of a request field to a normal form: equal for two values only if they mean the same. A second time it
 * changes nothing.
 *
 * For all lists, the spaces round commas go; those within quotes stay. For `Accept`, `Accept-Charset`, `Accept-Encoding`
 * and `Accept-Language` also what their definitions call insignificant: case of names, order of the members, repeated
 * members, the spelling of weights, `q=1`. Order means nothing in them, not even among members of equal weight
 * (RFC 9110 §12.5.4 says so of languages, which some servers rank by order). A value that does not keep to the syntax is
 * left as it is but for the spaces, and one of more than 4096 characters as it is.
 *
 * @param name lower case
 * @see RFC 9111 §4.1
 */
export function normaliseField(name: string, value: string): string {
  const trimmed = trimSpace(value)
  if (SINGLE.has(name) || trimmed.length > LONGEST_NORMALISED) return trimmed
  const tight = withoutSpaceRoundCommas(trimmed)
  const member = WEIGHTED.get(name)
  return member === undefined ? tight : (weightedForm(name, tight, member) ?? tight)
}

function withoutSpaceRoundCommas(value: string): string {
  if (!value.includes(',') || (!value.includes(' ') && !value.includes('\t'))) return value
  return membersOf(value, ',').join(',')
}

/** Splits at a separator, not within quoted strings, and takes the spaces off; an unclosed quote reaches to the end. */
function membersOf(text: string, separator: ',' | ';'): string[] {
  if (!text.includes('"')) return text.split(separator).map(trimSpace)
  const members: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (character === '"') quoted = !quoted
    else if (quoted && character === '\\') i++
    else if (!quoted && character === separator) {
      members.push(trimSpace(text.slice(start, i)))
      start = i + 1
    }
  }
  members.push(trimSpace(text.slice(start)))
  return members
}

/** Undefined when the value does not keep to the syntax, or contradicts itself. */
function weightedForm(name: string, value: string, member: RegExp): string | undefined {
  const weights = new Map<string, number>()
  for (const text of membersOf(value, ',')) {
    if (text === '') continue
    const parts = membersOf(text, ';')
    let key = parts[0]!.toLowerCase()
    if (!member.test(key)) return undefined
    if (name === 'accept-encoding') key = CODING_ALIASES.get(key) ?? key
    let weight = 1000
    for (let i = 1; i < parts.length; i++) {
      const parameter = PARAMETER.exec(parts[i]!)
      if (parameter === null) return undefined
      const parameterName = parameter[1]!.toLowerCase()
      if (parameterName === 'q') {
        // What follows the weight had a meaning of its own once (RFC 7231 §5.3.2) and has none now.
        if (i !== parts.length - 1 || !WEIGHT.test(parameter[2]!)) return undefined
        weight = Math.round(Number(parameter[2]) * 1000)
      } else if (name === 'accept') key += `;${parameterName}=${parameter[2]}`
      else return undefined
    }
    const known = weights.get(key)
    // The same member with two weights: which of them counts is up to the server, and may depend on the order.
    if (known !== undefined && known !== weight) return undefined
    weights.set(key, weight)
  }
  const members: string[] = []
  for (const [key, weight] of weights) members.push(weight === 1000 ? key : `${key};q=${weight / 1000}`)
  return members.sort().join(',')
}

/** RFC 9110 §8.4.1.1 and §8.4.1.3: two names of one coding. */
const CODING_ALIASES: ReadonlyMap<string, string> = new Map([
  ['x-compress', 'compress'],
  ['x-gzip', 'gzip'],
])
