import { describe, expect, it } from 'vitest'
import { invalidatedUris } from '../../src/rules/invalidation.ts'

const URI = 'https://shop.example/products?page=2'

function invalidated(method: string, status = 200, location?: string, contentLocation?: string) {
  return invalidatedUris(method, status, URI, location, contentLocation)
}

describe('what a request invalidates', () => {
  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'M-SEARCH', 'FOO', 'get'])('is its own URI after %s', (method) => {
    expect(invalidated(method)).toEqual([URI])
  })

  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH'])('is nothing after %s', (method) => {
    expect(invalidated(method, 200, '/a', '/b')).toEqual([])
  })

  it.each([200, 201, 204, 299, 301, 303, 304, 399])('is its own URI after status %d', (status) => {
    expect(invalidated('POST', status)).toEqual([URI])
  })

  it.each([100, 199, 400, 404, 412, 500, 599])('is nothing after status %d', (status) => {
    expect(invalidated('POST', status, '/a')).toEqual([])
  })

  it('is what Location and Content-Location name, too', () => {
    expect(invalidated('POST', 201, '/products/7', 'https://shop.example/products/8?x=1')).toEqual([
      URI,
      'https://shop.example/products/7',
      'https://shop.example/products/8?x=1',
    ])
  })

  it.each([
    ['7', 'https://shop.example/7'],
    ['?page=3', 'https://shop.example/products?page=3'],
    ['../a/./b#c', 'https://shop.example/a/b'],
    ['https://SHOP.example:443/x', 'https://shop.example/x'],
    ['//shop.example/y', 'https://shop.example/y'],
    ['https://shop.example', 'https://shop.example/'],
  ])('resolves %s', (location, uri) => {
    expect(invalidated('PUT', 200, location)).toEqual([URI, uri])
    expect(invalidated('PUT', 200, undefined, location)).toEqual([URI, uri])
  })

  it.each([
    ['another host', 'https://other.example/products'],
    ['another scheme', 'http://shop.example/products'],
    ['another port', 'https://shop.example:8443/products'],
    ['a host that looks like a path', '//other.example/products'],
    ['a host behind a user name', 'https://shop.example@other.example/'],
    ['a backslash that leads to another host', '\\\\other.example/'],
    ['no hierarchy', 'mailto:a@shop.example'],
    ['no URI', 'https://['],
  ])('is nothing of %s', (_, location) => {
    expect(invalidated('DELETE', 204, location, location)).toEqual([URI])
  })

  it('names each URI once', () => {
    expect(invalidated('POST', 200, '/a', '/a')).toEqual([URI, 'https://shop.example/a'])
    expect(invalidated('POST', 200, '/products?page=2', '?page=2')).toEqual([URI])
  })

  it('writes other URIs with the scheme and authority of its own', () => {
    expect(invalidatedUris('POST', 200, 'http://Shop.example:80?x', '/a', undefined)).toEqual([
      'http://Shop.example:80?x',
      'http://Shop.example:80/a',
    ])
  })

  it('is its own URI at least, however that looks', () => {
    expect(invalidatedUris('POST', 200, 'not absolute', '/a', undefined)).toEqual(['not absolute'])
  })
})
