import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A contender that is no Node process: it is started when the machine has it, and left out when not. */
export type ProgramName = 'nginx' | 'varnish'

/** Its executable, and the package of Debian that brings it. */
const EXECUTABLES: Readonly<Record<ProgramName, { readonly file: string; readonly debianPackage: string }>> = {
  nginx: { file: 'nginx', debianPackage: 'nginx-light' },
  varnish: { file: 'varnishd', debianPackage: 'varnish' },
}

/** Where Debian keeps servers; not on the path of every user. */
const SERVER_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** What a file in `programs/` exports: `prepare` writes what the program wants to read and says how to start it. */
export interface Program {
  prepare(setup: ProgramPlace): readonly string[]
}

export interface ProgramPlace {
  /** Empty, the program's own; removed after the round. */
  readonly folder: string
  /** To listen on, at 127.0.0.1. */
  readonly port: number
  /** The upstream, `127.0.0.1:<port>`. */
  readonly upstream: string
  /** Parameters of the contender. */
  readonly params: Readonly<Record<string, string | number>>
}

/** The executable's path; `undefined` when the machine does not have it. */
export function findProgram(name: ProgramName): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SERVER_FOLDERS]
  return folders.map((folder) => join(folder, EXECUTABLES[name].file)).find(isExecutable)
}

export function absence(name: ProgramName): string {
  return `${EXECUTABLES[name].file} is not installed (Debian: apt-get install ${EXECUTABLES[name].debianPackage})`
}

/** `1.22.1`; `undefined` when the machine does not have it. */
export function programVersion(name: ProgramName): string | undefined {
  const file = findProgram(name)
  if (file === undefined) return undefined
  // Both write their version to standard error.
  const said = execFileSync('sh', ['-c', '"$0" "$1" 2>&1', file, name === 'nginx' ? '-v' : '-V'], { encoding: 'utf8' })
  return /\d+\.\d+\.\d+/.exec(said)?.[0] ?? 'of unknown version'
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
