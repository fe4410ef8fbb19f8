/** When to try again. Pure. */

const FIRST_MS = 500
const LONGEST_MS = 10_000

/**
 * The pause before retry number `attempt` (0 first): doubling from half a second to ten, with half
 * of it random so that a hundred schools do not come back in one instant.
 */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10))
  return full / 2 + (full / 2) * random
}

/** A server's Retry-After, within reason: never a busy loop, never a wait that looks like a hang. */
export function politeWait(retryAfterS: number | undefined, random: number): number {
  const seconds = Math.min(30, Math.max(1, retryAfterS ?? 2))
  return seconds * 1000 + random * 500
}
