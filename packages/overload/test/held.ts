import type { IncomingMessage, ServerResponse } from 'node:http'
import { eventually } from '@postern/test-kit'

/** A slow service inside the app: answers when it is told to. */
export interface HeldHandler {
  (req: IncomingMessage, res: ServerResponse): void
  /** Paths of the requests that came in, in order. */
  readonly paths: string[]
  /** Waits until so many have come in. */
  arrived(count: number): Promise<void>
  /** Answers all that are held now with 200 and their path. */
  answerAll(): void
}

export function held(): HeldHandler {
  const waiting: (() => void)[] = []
  const paths: string[] = []
  function heldHandler(req: IncomingMessage, res: ServerResponse): void {
    const path = (req as { originalUrl?: string }).originalUrl ?? req.url!
    paths.push(path)
    waiting.push(() => res.end(path))
  }
  return Object.assign(heldHandler, {
    paths,
    arrived: async (count: number) => {
      await eventually(() => paths.length >= count)
    },
    answerAll: () => {
      for (const answer of waiting.splice(0)) answer()
    },
  })
}
