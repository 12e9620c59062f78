/** How much a request matters, from what is shed last to what is shed first. */
export type Priority = 'critical' | 'high' | 'normal' | 'low'

/** All priorities, the least important first: the order in which they are shed. */
export const PRIORITIES = Object.freeze(['low', 'normal', 'high', 'critical'] as const)

/** True for one of the four words. */
export function isPriority(value: unknown): value is Priority {
  return (PRIORITIES as readonly unknown[]).includes(value)
}
