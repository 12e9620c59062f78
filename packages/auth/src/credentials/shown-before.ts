import type { IncomingMessage } from 'node:http'

/** What a connection has shown last in the place of its token, and what came of it. */
export interface Shown<Known> {
  /** The whole value of the field. */
  readonly line: string
  readonly token: string
  /** What the scheme knows about it by now. */
  known: Known | undefined
}

type Sockets<Known> = Record<symbol, Shown<Known> | undefined>

/**
 * What each connection has shown last. A client that keeps its connection shows the same token again and again: its hash, which
 * costs more than everything else that is done for a known token, then need not be made again. Gone with the connection.
 */
export class ShownBefore<Known> {
  readonly #mark = Symbol('postern.shown')
  readonly #isSame: (a: string, b: string) => boolean

  /** @param isSame whether two lines are one; see {@link isSameInConstantTime} */
  constructor(isSame: (a: string, b: string) => boolean) {
    this.#isSame = isSame
  }

  /** The token in a line, when this connection has shown that line before. */
  find(req: IncomingMessage, line: string): string | undefined {
    const shown = this.#of(req)
    return shown !== undefined && this.#isSame(shown.line, line) ? shown.token : undefined
  }

  note(req: IncomingMessage, line: string, token: string): void {
    ;(req.socket as unknown as Sockets<Known>)[this.#mark] = { line, token, known: undefined }
  }

  /** Where to keep what is known of a token that {@link find} or {@link note} was just told of. */
  of(req: IncomingMessage, token: string): Shown<Known> | undefined {
    const shown = this.#of(req)
    // The very text, as a rule, and then nothing is compared. Another one is another request's.
    return shown !== undefined && shown.token === token ? shown : undefined
  }

  #of(req: IncomingMessage): Shown<Known> | undefined {
    return (req.socket as unknown as Sockets<Known> | undefined)?.[this.#mark]
  }
}

/**
 * Compares without regard to where two texts begin to differ: where clients share a connection (through a proxy that keeps it), the
 * time must not tell one of them how near it came to another's key.
 */
export function isSameInConstantTime(a: string, b: string): boolean {
  const { length } = a
  if (length !== b.length) return false
  let difference = 0
  for (let i = 0; i < length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0
}

/**
 * Compares as JavaScript does, for tokens that are too long for the other way: it looks at eight characters at a time, so that
 * who would find out a signature by the time it takes has to guess 48 bits of it at once.
 */
export function isSame(a: string, b: string): boolean {
  return a === b
}
