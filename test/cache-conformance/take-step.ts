import { eventually } from '@postern/test-kit'
import { expect } from 'vitest'
import type { Answer, FieldExpectations, OriginAnswer, Source, Step } from './case.ts'
import type { ClientAnswer, Stack } from './stack.ts'

/** Sends the request of a step through the stack and checks everything that the step says, in the order of time. */
export async function takeStep(stack: Stack, step: Step, name: string): Promise<void> {
  stack.clock.pass(step.after ?? 0)
  if (step.answer !== undefined) stack.origin.answerWith(step.answer)
  if (step.soon === true) await eventually(() => exchange(stack, step, name))
  else await exchange(stack, step, name)
}

async function exchange(stack: Stack, step: Step, name: string): Promise<void> {
  const { origin } = stack
  const before = origin.requests.length
  const from = step.from ?? 'origin'
  const line = step.send ?? 'GET /'
  const stored = origin.last
  const got = await stack.send(line, step.with, step.body)
  if (from === 'background') {
    await eventually(() => expect(origin.requests.length - before, `${name}: requests at the origin`).toBe(1))
  } else {
    const asked = origin.requests.length - before
    const story = `${name}: requests at the origin, having answered ${got.status} ${JSON.stringify(got.headers)}`
    if (from === 'store' || from === 'nobody') expect(asked, story).toBe(0)
    // A connection that breaks is tried again by the proxy, so that there may be more than one.
    else if (isGone(step.answer)) expect(asked, story).toBeGreaterThanOrEqual(1)
    else expect(asked, story).toBe(1)
  }
  if (from === 'validation') {
    const { headers } = origin.requests.at(-1)!
    expect(headers['if-none-match'] ?? headers['if-modified-since'], `${name}: a precondition`).toBeDefined()
  }
  const last = from === 'background' ? stored : origin.last
  checkStatus(got, step, from, last?.status, name)
  checkContent(got, step, line, last?.content, name)
  checkSource(got, from, name)
  checkFields(got.headers, step.fields, `${name}: field`)
  if (step.seen !== undefined) checkFields(origin.requests.at(-1)!.headers, step.seen, `${name}: the origin saw`)
  if (step.cacheStatus !== undefined) expect(got.headers['cache-status'], name).toMatch(step.cacheStatus)
}

function isGone(answer: OriginAnswer | undefined): boolean {
  return answer === 'gone'
}

function checkStatus(got: ClientAnswer, step: Step, from: Source, last: number | undefined, name: string): void {
  let expected = step.status
  if (expected === undefined) {
    const given = from === 'origin' && typeof step.answer === 'object' ? (step.answer satisfies Answer).status : last
    expected = given ?? 200
  }
  expect(typeof expected === 'number' ? [expected] : expected, `${name}: status`).toContain(got.status)
}

function checkContent(got: ClientAnswer, step: Step, line: string, last: string | undefined, name: string): void {
  expect(got.complete, `${name}: the answer is whole`).toBe(true)
  if (step.text instanceof RegExp) expect(got.text, `${name}: content`).toMatch(step.text)
  else if (step.text !== undefined) expect(got.text, `${name}: content`).toBe(step.text)
  else if (line.startsWith('HEAD ') || got.status === 204 || got.status === 304)
    expect(got.text, `${name}: content`).toBe('')
  // What the proxy and the cache say themselves is theirs.
  else if (got.headers['content-type'] !== 'application/problem+json')
    expect(got.text, `${name}: content`).toBe(last ?? '')
}

/** What holds for every answer of that source, whatever the case is about. */
function checkSource(got: ClientAnswer, from: Source, name: string): void {
  const status = got.headers['cache-status']
  if (from === 'store' || from === 'background') {
    // RFC 9111 §4: an answer out of the store that was not validated has an Age.
    expect(got.headers.age, `${name}: Age of a stored response`).toMatch(/^[0-9]+$/)
    if (status !== undefined) expect(status, name).toMatch(/^Postern; hit(?:;|$)/)
  } else if (from !== 'nobody' && status !== undefined) expect(status, name).toMatch(/^Postern; fwd=/)
  if (got.status === 304) expect(got.headers['content-length'], `${name}: 304 without content`).toBeUndefined()
}

/** Checks fields of a message, whose names are lower case. */
export function checkFields(
  headers: Readonly<Record<string, string>>,
  expected: FieldExpectations | undefined,
  what: string,
): void {
  for (const [field, value] of Object.entries(expected ?? {})) {
    if (value === null) expect(headers[field], `${what} ${field}`).toBeUndefined()
    else if (typeof value === 'string') expect(headers[field], `${what} ${field}`).toBe(value)
    else expect(headers[field] ?? '', `${what} ${field}`).toMatch(value)
  }
}
