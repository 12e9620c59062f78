import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const PEERS = join(ROOT, 'test', 'bench', 'node_modules')

interface Manifest {
  readonly version: string
  readonly main?: string
}

/** Whether a peer of the benchmark is installed; the benchmark does it on its first run. */
export function isPeerInstalled(name: string): boolean {
  return existsSync(join(PEERS, name, 'package.json'))
}

export function versionOfPeer(name: string): string {
  return manifestAt(join(PEERS, name)).version
}

/** The file that importing the peer would load. */
export function entryOfPeer(name: string): string {
  return join(PEERS, name, manifestAt(join(PEERS, name)).main ?? 'index.js')
}

export function manifestAt(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}
