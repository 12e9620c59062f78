import type { PathView } from './path-view.ts'
import type { Variant } from './pattern.ts'
import { matchMixed, type Segment } from './segment.ts'
import { matchTail } from './tail.ts'
import { encodeSegment } from './text.ts'

/** Parameters of a matched path; an object without a prototype. A wildcard's value is the list of its segments. */
export type Params = Record<string, string | string[]>

const NO_PARAMS: Params = Object.freeze(Object.create(null))

/**
 * The parameters of a path that the variant matched.
 *
 * @param form `value` decoded; `raw` as they came, or escaped anew where only a part of a segment is taken
 * @returns shared and frozen when there are none
 */
export function captureParams(variant: Variant, view: PathView, form: 'value' | 'raw'): Params {
  const { segments, tail } = variant
  if (!variant.captures) return NO_PARAMS
  const params: Params = Object.create(null)
  for (let i = 0; i < segments.length; i++) capture(params, segments[i]!, view, i, i + 1, form)
  if (tail !== undefined) {
    const starts = matchTail(tail, view, segments.length)!
    for (let i = 0; i < tail.segments.length; i++) {
      capture(params, tail.segments[i]!, view, starts[i]!, starts[i + 1]!, form)
    }
  }
  return params
}

function capture(
  params: Params,
  segment: Segment,
  view: PathView,
  at: number,
  end: number,
  form: 'value' | 'raw',
): void {
  switch (segment.kind) {
    case 'static':
      return
    case 'param':
      params[segment.name] = form === 'raw' ? view.raw(at) : view.value(at)
      return
    case 'wild': {
      const list: string[] = []
      for (let i = at; i < end; i++) list.push(form === 'raw' ? view.raw(i) : view.value(i))
      // As Express has it: a wildcard at the end takes the last slash too, which a rewrite then keeps.
      if (end === view.count && view.hasSlash) list.push('')
      params[segment.name] = list
      return
    }
    case 'mixed': {
      const places = matchMixed(segment, view.key(at))!
      const value = view.value(at)
      const isPlain = view.raw(at) === value
      for (let i = 0; i < segment.names.length; i++) {
        const part = value.slice(places[i * 2], places[i * 2 + 1])
        params[segment.names[i]!] = form === 'value' || isPlain ? part : encodeSegment(part)
      }
    }
  }
}
