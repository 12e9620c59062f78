import type { CacheOptions } from '@postern/cache'
import type { Stack } from './stack.ts'

/** MUST, SHOULD and MAY are the RFC's words, their negations included; OWN is what no RFC asks for and this cache promises. */
export type Level = 'MUST' | 'SHOULD' | 'MAY' | 'OWN'

/** What the origin answers. `Date` and `Content-Length` are added unless they are given or left out on purpose. */
export interface Answer {
  readonly status: number
  /** Header lines as they go on the wire: `Cache-Control: max-age=60`. */
  readonly lines: readonly string[]
  /** @default a text unlike that of any other answer: `content 1` is the first of a case, `content 2` the second */
  readonly content?: string
  /** Without a Date line. @default false */
  readonly undated?: boolean
  /** Seconds that pass between the request and the answer. @default 0 */
  readonly delay?: number
  /** The bytes of the whole answer in place of all of the above, text as latin1. */
  readonly raw?: string
  /** More bytes behind `raw`, later. */
  readonly rest?: Promise<string>
}

/** `gone`: the origin closes the connection without an answer, again and again. */
export type OriginAnswer = Answer | 'gone'

/** Field name in lower case to its value, to a pattern for it, or to null for a field that must not be there. */
export type FieldExpectations = Readonly<Record<string, string | RegExp | null>>

/**
 * Where the answer came from: `origin`, asked once, gave it; `store`: the origin was not asked; `validation`: the origin,
 * asked once with a precondition, did not give the content, which came from the store; `background`: the client got what was
 * stored, and the origin was asked once, too; `nobody`: the gateway said it of its own, without asking.
 */
export type Source = 'origin' | 'store' | 'validation' | 'background' | 'nobody'

/** One request and what must come of it. */
export interface Step {
  /** Seconds that pass before the request. @default 0 */
  readonly after?: number
  /** Method and target. @default 'GET /' */
  readonly send?: string
  /** Header lines of the request. */
  readonly with?: readonly string[]
  /** Content of the request; a Content-Length goes with it. */
  readonly body?: string
  /** What the origin answers from here on, if it is asked. */
  readonly answer?: OriginAnswer
  /** @default 'origin' */
  readonly from?: Source
  /** @default the origin's status for `origin`, that of the last content it sent for the others */
  readonly status?: number | readonly number[]
  /** The content that the client gets. @default the origin's last; none behind HEAD, 204, 304 */
  readonly text?: string | RegExp
  readonly fields?: FieldExpectations
  /** Fields of the last request that the origin saw. */
  readonly seen?: FieldExpectations
  /** Parameters of our member of Cache-Status; those of {@link Source} are looked at in any case. */
  readonly cacheStatus?: RegExp
  /** Asks again until it holds: behind `background`, whose update arrives when it arrives. */
  readonly soon?: boolean
}

interface Requirement {
  /** `9111-4.2.1-s-maxage`: the RFC, the section, and what it is about. */
  readonly id: string
  readonly level: Level
  /** The requirement in our words, as the table shows it. */
  readonly says: string
  readonly options?: CacheOptions
}

/** A requirement and its proof: steps, several runs of steps that each start with an empty cache, or a function. */
export type Case = Requirement &
  (
    | { readonly steps: readonly Step[] }
    | { readonly variants: Readonly<Record<string, readonly Step[]>> }
    | { readonly run: (stack: Stack) => Promise<void> }
  )

/** Cases of one subject. */
export interface CaseGroup {
  readonly title: string
  /** Name of the file under `cases`, without its ending. */
  readonly file: string
  readonly cases: readonly Case[]
}

/** A 200 with these header lines. */
export function ok(...lines: string[]): Answer {
  return { status: 200, lines }
}

/** An answer with this status and these header lines. */
export function reply(status: number, ...lines: string[]): Answer {
  return { status, lines }
}

/** The same answer with this content. */
export function withContent(content: string, answer: Answer): Answer {
  return { ...answer, content }
}

/** RFC and section of a case, by its id: `9111 §4.2.1`. */
export function sectionOf(id: string): string {
  const [rfc, section] = id.split('-')
  return `${rfc} §${section}`
}
