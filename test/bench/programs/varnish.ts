import { join } from 'node:path'
import type { ProgramPlace } from '../lib/programs.ts'

/**
 * One for each connection of the load and some for itself: a connection that asks again at once keeps its thread, and those
 * that found none would wait for ever, or be closed. None comes or goes while the CPU time is read.
 */
const THREADS = 80

/** Varnish with its built-in VCL and its log in shared memory, as it is shipped, and 64 MiB for what it stores. */
export function prepare({ folder, port, upstream }: ProgramPlace): readonly string[] {
  return [
    ...['-F', '-j', 'none'],
    ...['-n', join(folder, 'varnish')],
    ...['-a', `127.0.0.1:${port}`],
    ...['-b', upstream],
    ...['-s', 'malloc,64m'],
    ...['-p', 'thread_pools=1', '-p', `thread_pool_min=${THREADS}`, '-p', `thread_pool_max=${THREADS}`],
  ]
}
