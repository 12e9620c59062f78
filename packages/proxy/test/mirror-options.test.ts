import { type ConfigFault, faultsOf } from '@postern/contracts'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { type MirrorOptions, mirrorSchema, resolveMirror } from '../src/mirror/options.ts'

const target = 'http://127.0.0.1:3000'

/** As `proxy()` does it: the schema first, then the rest. */
function check(mirror: unknown) {
  const parsed = v.safeParse(v.strictObject({ mirror: mirrorSchema }), { mirror })
  const faults: ConfigFault[] = parsed.success ? [] : faultsOf(parsed.issues)
  return { resolved: resolveMirror(mirror as MirrorOptions | undefined, faults), faults }
}

describe('the options of a mirror', () => {
  test('have the defaults that their documentation gives', () => {
    const { resolved, faults } = check({ target })
    expect(faults).toEqual([])
    expect(resolved).toMatchObject({
      target: { origin: target },
      share: 1,
      methods: new Set(['GET', 'HEAD', 'OPTIONS']),
      maxBodyBytes: 65_536,
      maxInFlight: 64,
      timeoutMs: 5_000,
      onError: undefined,
      random: Math.random,
    })
    expect(resolved!.headerEdits.at(-1)).toEqual({ op: 'set', name: 'x-postern-mirror', value: '1' })
    expect(Object.isFrozen(resolved)).toBe(true)
  })

  test('may be left out', () => {
    expect(check(undefined)).toEqual({ resolved: undefined, faults: [] })
  })

  test.each([
    [true, ['mirror']],
    [[], ['mirror.target']],
    [{}, ['mirror.target']],
    [{ target: 'nowhere' }, ['mirror.target']],
    [{ target: { url: 'ftp://127.0.0.1' } }, ['mirror.target.url']],
    [{ target: { url: target, wieght: 1 } }, ['mirror.target.wieght']],
    [{ target, sample: 1 }, ['mirror.sample']],
    [{ target, share: 1.01 }, ['mirror.share']],
    [{ target, share: Number.NaN }, ['mirror.share']],
    [{ target, methods: ['get'] }, ['mirror.methods[0]']],
    [{ target, methods: ['GET', 'CONNECT', 'TRACE'] }, ['mirror.methods[1]', 'mirror.methods[2]']],
    [{ target, maxBodyBytes: -1 }, ['mirror.maxBodyBytes']],
    [{ target, maxInFlight: 0 }, ['mirror.maxInFlight']],
    [{ target, timeoutMs: 0 }, ['mirror.timeoutMs']],
    [{ target, timeoutMs: 2 ** 31 }, ['mirror.timeoutMs']],
    [{ target, credentials: 'keep' }, ['mirror.credentials']],
    [{ target, headers: { 'content-length': '1' } }, ['mirror.headers.content-length']],
    [{ target, headers: { host: 'x' } }, ['mirror.headers.host']],
    [{ target, headers: { 'X-Postern-Mirror': '0' } }, ['mirror.headers.X-Postern-Mirror']],
    [{ target, headers: { 'x-a': 'b\r\nc: d' } }, ['mirror.headers.x-a']],
    [{ target, removeHeaders: ['a b'] }, ['mirror.removeHeaders[0]']],
    [{ target, onError: 'log' }, ['mirror.onError']],
    [{ target, random: 0.5 }, ['mirror.random']],
    [{ target, share: -1, maxInFlight: 1.5 }, ['mirror.share', 'mirror.maxInFlight']],
  ])('%j is refused where it is wrong', (mirror, paths) => {
    const { resolved, faults } = check(mirror)
    expect(resolved).toBe(undefined)
    expect(faults.map((fault) => fault.path)).toEqual(paths)
    for (const fault of faults) expect(fault.message).not.toBe('')
  })
})
