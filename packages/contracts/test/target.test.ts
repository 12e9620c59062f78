import { describe, expect, test } from 'vitest'
import { ConfigError, createTarget } from '../src/index.ts'

describe('createTarget', () => {
  test.each([
    [
      'http://127.0.0.1:3000',
      {
        id: 'http://127.0.0.1:3000',
        origin: 'http://127.0.0.1:3000',
        host: '127.0.0.1:3000',
        secure: false,
        basePath: '',
      },
    ],
    ['http://Example.com:80/', { id: 'http://example.com', host: 'example.com', basePath: '' }],
    [
      'https://example.com:443/v1/',
      { id: 'https://example.com/v1', host: 'example.com', secure: true, basePath: '/v1' },
    ],
    ['http://[::1]:8080/a/b', { origin: 'http://[::1]:8080', host: '[::1]:8080', basePath: '/a/b' }],
    [
      'unix:/run/app.sock',
      { id: 'unix:/run/app.sock', origin: 'http://localhost', socketPath: '/run/app.sock', secure: false },
    ],
  ])('%s', (url, expected) => {
    expect(createTarget(url)).toMatchObject(expected)
    if (!url.startsWith('unix:')) expect(createTarget(new URL(url))).toMatchObject(expected)
  })

  test('takes id, weight, socket, TLS and tags from options, with defaults', () => {
    expect(createTarget({ url: 'http://a.test' })).toEqual({
      id: 'http://a.test',
      origin: 'http://a.test',
      host: 'a.test',
      secure: false,
      basePath: '',
      weight: 1,
      tier: 0,
      socketPath: undefined,
      tls: undefined,
      tags: {},
    })
    const options = {
      url: 'https://a.test',
      id: 'a',
      weight: 0,
      tier: 2,
      socketPath: '/s',
      tls: { servername: 'b' },
      tags: { zone: '1' },
    }
    expect(createTarget(options)).toMatchObject({
      id: 'a',
      weight: 0,
      tier: 2,
      socketPath: '/s',
      tls: { servername: 'b' },
      tags: { zone: '1' },
    })
  })

  test.each([-1, 1.5, 101, Number.NaN, '1'])('refuses the tier %j', (tier) => {
    expect(() => createTarget({ url: 'http://a.test', tier: tier as number })).toThrow(/tier: .*0 to 100/)
  })

  test('is frozen', () => {
    expect(Object.isFrozen(createTarget('http://a.test'))).toBe(true)
  })

  test.each([
    ['127.0.0.1:3000'],
    ['/relative'],
    [''],
    ['ftp://a.test'],
    ['ws://a.test'],
    ['http://a.test/?x=1'],
    ['http://a.test/#x'],
    ['http://user@a.test'],
    ['http://user:pass@a.test'],
    ['unix:run/app.sock'],
    ['http://a.test:99999'],
  ])('%j is refused with its path and a cure', (url) => {
    expect(() => createTarget(url, 'targets[2]')).toThrow(ConfigError)
    try {
      createTarget(url, 'targets[2]')
    } catch (error) {
      expect((error as ConfigError).faults).toMatchObject([{ path: 'targets[2]', cure: expect.any(String) }])
    }
    expect(() => createTarget({ url }, 'targets[2]')).toThrow(/targets\[2\]\.url/)
  })

  test.each([
    ['http://user:hunter2@a.test'],
    ['ftp://user:hunter2@a.test'],
    ['http://user:hunter2@a b'],
    ['http://user:hunter2@a.test/?x'],
  ])('%s never comes back with its password', (url) => {
    expect(() => createTarget(url)).toThrow(ConfigError)
    try {
      createTarget(url)
    } catch (error) {
      expect(JSON.stringify((error as ConfigError).faults) + String(error)).not.toContain('hunter2')
    }
  })

  test.each([[-1], [Number.NaN], [1_000_001], [Number.POSITIVE_INFINITY], ['5']])(
    'a weight of %s is refused',
    (weight) => {
      expect(() => createTarget({ url: 'http://a.test', weight: weight as number })).toThrow(/target\.weight/)
    },
  )
})
