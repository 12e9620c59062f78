import { existsSync, readdirSync, readFileSync } from 'node:fs'

/**
 * User and system time of a process so far, all threads, in microseconds.
 *
 * The kernel's scheduler counts nanoseconds (`schedstat`). Where it does not offer that, the process table's ticks of
 * 10 ms serve: over a window of seconds the difference is a fraction of a per cent.
 */
export function cpuMicros(pid: number): number {
  try {
    let nanos = 0
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0])
    }
    if (nanos > 0) return nanos / 1_000
  } catch {
    // A kernel without schedstat; or a thread that ended between the two calls.
  }
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name in parentheses may hold spaces; the fields after it are fixed. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** The same for several processes. One that has ended meanwhile counts nothing. */
export function cpuMicrosOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => (existsSync(`/proc/${pid}`) ? sum + cpuMicros(pid) : sum), 0)
}

/** A process, its children, and theirs. */
export function processTree(root: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const parent = parentOf(Number(entry))
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(entry)])
  }
  const tree = [root]
  // The list grows while it is walked.
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ', 2)[1])
  } catch {
    // It ended between the two calls.
    return undefined
  }
}

/** A value of /proc/<pid>/status that is given in kB, in bytes. */
export function statusBytes(pid: number | 'self', key: 'VmHWM' | 'VmRSS'): number {
  const found = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  if (found === null) throw new Error(`/proc/${pid}/status has no ${key}`)
  return Number(found[1]) * 1024
}
