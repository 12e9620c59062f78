import { Writable } from 'node:stream'
import { eventually } from '@postern/test-kit'
import { expect } from 'vitest'

/** A stream that keeps the lines that it is given. */
export class Sink extends Writable {
  text = ''

  constructor() {
    super({ decodeStrings: false })
  }

  get lines(): Record<string, unknown>[] {
    const lines = this.text.split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Resolves with all lines as soon as there are that many. */
  async until(count: number): Promise<Record<string, unknown>[]> {
    await eventually(() => expect(this.lines.length).toBeGreaterThanOrEqual(count))
    return this.lines
  }

  /** The only line. */
  async one(): Promise<Record<string, unknown>> {
    const lines = await this.until(1)
    expect(lines).toHaveLength(1)
    return lines[0]!
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}
