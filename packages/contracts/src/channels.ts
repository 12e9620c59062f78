import diagnostics from 'node:diagnostics_channel'
import type { Exchange } from './exchange.ts'

/** A diagnostics channel whose message has a type. Free while nobody listens: ask `hasSubscribers` before publishing. */
export interface TypedChannel<Message> {
  readonly name: string
  readonly hasSubscribers: boolean
  publish(message: Message): void
  subscribe(listener: (message: Message) => void): void
  unsubscribe(listener: (message: Message) => void): boolean
}

/**
 * The process-wide channel of that name: `postern:<noun>:<past participle>`.
 *
 * @see https://nodejs.org/api/diagnostics_channel.html
 */
export function channel<Message>(name: `postern:${string}:${string}`): TypedChannel<Message> {
  return diagnostics.channel(name) as unknown as TypedChannel<Message>
}

/** Published once an exchange is over; the message is the exchange. Exchanges begun before the first subscription are not reported. */
export const exchangeFinished: TypedChannel<Exchange> = channel<Exchange>('postern:exchange:finished')
