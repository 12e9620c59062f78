import { ConfigError } from '@postern/contracts'
import { describe, expect, it } from 'vitest'
import { logger } from '../src/index.ts'
import { type LoggerOptions, resolveOptions } from '../src/options.ts'

function faultsOf(options: unknown) {
  try {
    resolveOptions(options as LoggerOptions)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('resolveOptions', () => {
  it('fills in the defaults and freezes them', () => {
    const options = resolveOptions()
    expect(options).toMatchObject({
      format: 'json',
      minLevel: 'info',
      sample: 1,
      sampleErrors: false,
      headers: [],
      requestIdHeader: 'X-Request-Id',
      trustRequestId: true,
      generateTraceparent: false,
      flushIntervalMs: 10,
      maxBufferBytes: 4_194_304,
    })
    expect(Object.isFrozen(options)).toBe(true)
  })

  it('takes header names in any case, each once', () => {
    expect(resolveOptions({ headers: ['X-Foo', 'x-foo', 'Accept'] }).headers).toEqual(['x-foo', 'accept'])
  })

  it('tells of all faults at once, by path', () => {
    const faults = faultsOf({
      name: '',
      format: 'xml',
      logger: { info() {} },
      minLevel: 'loud',
      sample: 1.5,
      skip: true,
      headers: ['x foo'],
      redact: { paths: ['/reset'], query: [''] },
      requestIdHeader: '',
      trustRequestId: 'all',
      flushIntervalMs: -1,
      maxBufferBytes: 10,
      clock: {},
    })
    expect(faults.map((fault) => fault.path).sort()).toEqual(
      [
        'clock',
        'flushIntervalMs',
        'format',
        'headers[0]',
        'logger',
        'maxBufferBytes',
        'minLevel',
        'name',
        'redact.paths[0]',
        'redact.query[0]',
        'requestIdHeader',
        'sample',
        'skip',
        'trustRequestId',
      ].sort(),
    )
  })

  it('names the option that was meant', () => {
    expect(faultsOf({ sampel: 1 })).toMatchObject([{ path: 'sampel', cure: 'did you mean "sample"?' }])
    expect(faultsOf({ redact: { header: [] } })).toMatchObject([
      { path: 'redact.header', cure: 'did you mean "headers"?' },
    ])
  })

  it('refuses a stream beside a logger', () => {
    expect(faultsOf({ stream: process.stdout, logger: console })).toMatchObject([{ path: 'stream' }])
  })

  it('throws at start, from the factory', () => {
    expect(() => logger({ sample: Number.NaN })).toThrow(ConfigError)
    expect(() => logger(null as unknown as LoggerOptions)).toThrow(ConfigError)
  })
})
