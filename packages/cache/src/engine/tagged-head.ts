import type { IncomingMessage } from 'node:http'
import type { ResolvedCacheOptions } from '../options.ts'
import { type RequestFacts, warnOfOption } from '../request-facts.ts'
import { fieldValue } from '../rules/field-list.ts'
import type { StoredHead } from '../stored-response.ts'

/**
 * The tag of all responses of one URI that stand behind several keys, one a caller: by it they are purged together. No
 * field can carry such a tag, since it begins with a control character.
 */
export function uriTag(uri: string): string {
  return `\u0000${uri}`
}

/**
 * A head with the tags of the app's own, and with the one that its key asks for.
 *
 * @returns undefined when the app's function fails: without its tags the response could not be purged when it has to be
 */
export function taggedHead(
  head: StoredHead,
  req: IncomingMessage,
  { uri, suffix }: RequestFacts,
  { tags, name }: ResolvedCacheOptions,
): StoredHead | undefined {
  if (tags === undefined && suffix === '') return head
  const all = new Set(head.tags)
  try {
    const response = { status: head.status, field: (each: string) => fieldValue(head.headers, each.toLowerCase()) }
    for (const tag of tags?.(req, response) ?? []) all.add(String(tag))
  } catch (error) {
    warnOfOption(name, 'tags', error)
    return undefined
  }
  if (suffix !== '') all.add(uriTag(uri))
  return { ...head, tags: [...all] }
}
