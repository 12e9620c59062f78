import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { manifestAt, ROOT } from './peers.ts'

/** What a run was made on and with; stands above its figures. */
export interface Environment {
  readonly date: string
  readonly node: string
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly express: string
}

export function readEnvironment(): Environment {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version.slice(1),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    kernel: `Linux ${release()}`,
    express: manifestAt(join(ROOT, 'node_modules', 'express')).version,
  }
}
