import type { RequestDirectives } from './rules/directives.ts'

/** What a cache has to know of a request, as plain data. Field values of several lines are joined with `, `. */
export interface CacheRequest {
  readonly method: string
  /** The effective request URI: `https://shop.example/products?page=2`; what the resource is, whoever asks. */
  readonly uri: string
  /** Separates callers that must not see each other's responses; empty for what all may share. */
  readonly partition: string
  /** True when the request carries `Authorization` or a verified identity, and the partition does not cover it. */
  readonly authorized: boolean
  readonly hasCookie: boolean
  /** The client's directives (`Pragma: no-cache` among them); undefined when there are none or they are not listened to. */
  readonly directives: RequestDirectives | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
  readonly range: string | undefined
  readonly ifRange: string | undefined
  /** The value of a field, by its lower-case name; undefined when it is absent. */
  field(name: string): string | undefined
}
