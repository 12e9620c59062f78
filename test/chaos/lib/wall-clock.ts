/** Milliseconds since 1970 with fractions, the same in every process of this machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
}

export function sleepUntil(atMs: number): Promise<void> {
  return sleep(atMs - wallMs())
}
