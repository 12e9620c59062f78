// All ways to a key that may verify tokens. Nothing else makes one: what comes out of these has passed every check of its own.

export { type JwksKeys, keyFromJwk, keysFromJwks } from './json-web-keys.ts'
export { keyFromKeyObject, keyFromPem, keyFromSecret } from './key-material.ts'
