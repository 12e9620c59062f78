import { describe, expect, test, vi } from 'vitest'
import { ConfigError, faultsOf, nearest, pathText, type SchemaIssue } from '../src/index.ts'

describe('ConfigError', () => {
  test('tells one fault in one line: path, value, cure', () => {
    const error = new ConfigError('proxy()', [
      {
        path: 'timeouts.headersMs',
        message: 'not a whole number',
        received: '30s',
        cure: 'write milliseconds: 30_000',
      },
    ])
    expect(error.message).toBe("proxy(): timeouts.headersMs: not a whole number, got '30s'; write milliseconds: 30_000")
    expect(error).toMatchObject({ name: 'ConfigError', code: 'POSTERN_CONFIG' })
  })

  test('tells all faults, a line each', () => {
    const error = new ConfigError('gateway()', [
      { path: 'a', message: 'one' },
      { path: '', message: 'two' },
    ])
    expect(error.message).toBe('gateway(): 2 faults in the options\na: one\ntwo')
    expect(error.faults).toHaveLength(2)
  })

  test('keeps its message short, whatever was received', () => {
    const received = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`member${i}`, 'x'.repeat(500)]))
    expect(new ConfigError('x', [{ path: 'a', message: 'wrong', received }]).message.length).toBeLessThan(200)
  })

  test.each(['tls.key', 'tls.passphrase', 'password', 'apiKeys[0]', 'store.authToken', 'keys[0].secret'])(
    'never prints the value of %s back',
    (path) => {
      const { message } = new ConfigError('x', [{ path, message: 'wrong', received: 'hunter2' }])
      expect(message).toContain('not shown')
      expect(message).not.toContain('hunter2')
    },
  )

  test('never prints a secret back whose name is mistyped', () => {
    const issue = {
      kind: 'schema',
      type: 'strict_object',
      message: 'unknown',
      input: 'secrt',
      expected: 'never',
      path: [{ key: 'secrt', origin: 'key', value: 'hush' }],
    }
    const faults = faultsOf([issue], () => ['secret', 'issuer'])
    expect(faults).toEqual([{ path: 'secrt', message: 'unknown option', cure: 'did you mean "secret"?' }])
  })

  test('never prints a secret back that stands one level down', () => {
    const received = { password: 'hunter2', user: 'bob' }
    const { message } = new ConfigError('x', [{ path: 'redis', message: 'wrong', received }])
    expect(message).toContain('bob')
    expect(message).not.toContain('hunter2')
  })

  test('is recognised across two copies of the package', async () => {
    vi.resetModules()
    const copy = await import('../src/index.ts')
    expect(copy.ConfigError).not.toBe(ConfigError)
    expect(new copy.ConfigError('x', [])).toBeInstanceOf(ConfigError)
    expect(new Error('x')).not.toBeInstanceOf(ConfigError)
  })

  test('is not taken for a subclass that it is not', () => {
    class Special extends ConfigError {}
    expect(new Special('x', [])).toBeInstanceOf(Special)
    expect(new ConfigError('x', [])).not.toBeInstanceOf(Special)
  })
})

// The issues as valibot 1.5 makes them.
describe('faultsOf', () => {
  const known = (path: readonly (string | number)[]) => (path.length === 0 ? ['timeoutMs', 'tls'] : ['cert', 'key'])
  const unknownKey = (path: SchemaIssue['path'] & object): SchemaIssue => ({
    kind: 'schema',
    type: 'strict_object',
    input: path.at(-1)!.key,
    expected: 'never',
    message: 'Invalid key',
    path,
  })

  test('gives an unknown key its value and the nearest known key', () => {
    const issue = unknownKey([{ key: 'timoutMs', origin: 'key', value: 3 }])
    expect(faultsOf([issue], known)).toEqual([
      { path: 'timoutMs', message: 'unknown option', received: 3, cure: 'did you mean "timeoutMs"?' },
    ])
  })

  test('lists the known keys when none is near', () => {
    const issue = unknownKey([
      { key: 'tls', origin: 'value', value: {} },
      { key: 'certificateAuthority', origin: 'key', value: 'x' },
    ])
    expect(faultsOf([issue], known)).toEqual([
      { path: 'tls.certificateAuthority', message: 'unknown option', received: 'x', cure: 'known here: cert, key' },
    ])
  })

  test('promises no cure when nothing is known', () => {
    expect(faultsOf([unknownKey([{ key: 'a', origin: 'key', value: 1 }])])).toEqual([
      { path: 'a', message: 'unknown option', received: 1 },
    ])
  })

  test('tells a missing key from an unknown one', () => {
    const issue: SchemaIssue = {
      ...unknownKey([{ key: 'timeoutMs', origin: 'key', value: undefined }]),
      expected: '"timeoutMs"',
      input: undefined,
    }
    expect(faultsOf([issue], known)).toEqual([{ path: 'timeoutMs', message: 'missing', cure: 'give it a value' }])
  })

  // `{ tls: 5 }`: a strict object was expected at a known key, and a number is there. Neither missing nor unknown.
  test('tells a wrong kind of value from a wrong key', () => {
    const issue: SchemaIssue = {
      kind: 'schema',
      type: 'strict_object',
      input: 5,
      expected: 'Object',
      message: 'not an object',
      path: [{ key: 'tls', origin: 'value', value: 5 }],
    }
    expect(faultsOf([issue], known)).toEqual([{ path: 'tls', message: 'not an object', received: 5 }])
  })

  test('takes other issues as they are, at the root too', () => {
    const issue: SchemaIssue = { kind: 'validation', type: 'min_value', input: -1, message: 'below 0' }
    expect(faultsOf([issue], known)).toEqual([{ path: '', message: 'below 0', received: -1 }])
  })
})

test.each([
  [['routes', 3, 'prefix'], 'routes[3].prefix'],
  [['a'], 'a'],
  [[], ''],
  [[0, 'a'], '[0].a'],
])('pathText(%j) is %s', (keys, text) => {
  expect(pathText(keys)).toBe(text)
})

test.each([
  ['timeout', ['timeoutMs', 'retries'], 'timeoutMs'],
  ['TIMEOUTMS', ['timeoutMs'], 'timeoutMs'],
  ['retires', ['timeoutMs', 'retries'], 'retries'],
  ['zzzzzzz', ['timeoutMs', 'retries'], undefined],
  ['x', [], undefined],
  ['tsl', ['url', 'tls'], 'tls'],
])('nearest(%s) is %s', (key, known, expected) => {
  expect(nearest(key, known)).toBe(expected)
})
