/** Tells the responses of this process from those of others that share a store. */
const PROCESS = Math.random().toString(36).slice(2, 10)
let responses = 0

/** A name for a stored response that no other has. */
export function newId(): string {
  return `${PROCESS}-${(responses++).toString(36)}`
}
