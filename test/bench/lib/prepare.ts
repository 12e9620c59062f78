import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { programVersion } from './programs.ts'

const BENCH = join(dirname(fileURLToPath(import.meta.url)), '..')
export const ROOT = join(BENCH, '..', '..')

const PEERS = ['express', 'http-proxy-middleware', 'fast-gateway', 'fastify', '@fastify/http-proxy'] as const

/** What a run was made on and with; stands above its figures. */
export interface Environment {
  readonly date: string
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly versions: Readonly<Record<string, string>>
}

/** @throws Error when this machine cannot pin processes to two cores */
export function checkMachine(): void {
  const cure = 'the benchmark needs Linux, two cores and taskset (util-linux)'
  if (process.platform !== 'linux' || availableParallelism() < 2) throw new Error(cure)
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
  } catch {
    throw new Error(`taskset was not found: ${cure}`)
  }
}

/** Installs the peers from this folder's lock file, unless that has been done. */
export function installPeers(print: (line: string) => void): void {
  const installed = join(BENCH, 'node_modules', '.pnpm', 'lock.yaml')
  const wanted = readFileSync(join(BENCH, 'pnpm-lock.yaml'), 'utf8')
  if (existsSync(installed) && readFileSync(installed, 'utf8') === wanted) return
  print('installing the peers into test/bench (first use) ...')
  execFileSync('npx', ['--yes', 'pnpm@12', 'install', '--frozen-lockfile'], { cwd: BENCH, stdio: ['ignore', 2, 2] })
}

/** Builds the packages: what is measured is what users run. */
export function buildPackages(print: (line: string) => void): void {
  print('building the packages (tsc -b) ...')
  execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-b'], { cwd: ROOT, stdio: ['ignore', 2, 2] })
}

export function readEnvironment(): Environment {
  const versions: Record<string, string> = { '@postern/proxy': versionAt(join(ROOT, 'packages/proxy')) }
  versions.undici = versionAt(join(ROOT, 'packages/proxy/node_modules/undici'))
  for (const peer of PEERS) versions[peer] = versionAt(join(BENCH, 'node_modules', peer))
  for (const program of ['nginx', 'varnish'] as const) {
    const version = programVersion(program)
    if (version !== undefined) versions[program] = version
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    kernel: `Linux ${release()}`,
    versions,
  }
}

function versionAt(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version
}
