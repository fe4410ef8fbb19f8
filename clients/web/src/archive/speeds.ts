/** The speeds a lesson plays at. Pure. */

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2] as const

/** The next faster or slower speed; the ends stay where they are. */
export function stepped(rate: number, by: number): number {
  const known = SPEEDS.map((speed) => Math.abs(speed - rate))
  const nearest = known.indexOf(Math.min(...known))
  return SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, nearest + Math.sign(by)))] ?? 1
}

export function isSpeed(value: unknown): value is number {
  return typeof value === 'number' && (SPEEDS as readonly number[]).includes(value)
}
