/** Keeps the second picture in step with the first. Pure. */

export interface Correction {
  /** Jump to this time, in seconds. */
  seek?: number
  /** Play at this rate until the next look. */
  rate: number
}

/** Off by less is in step: a face and a slide need no more. */
const IN_STEP_S = 0.05
/** Off by more is jumped, less is caught up unseen by 10 % of speed. */
const JUMP_S = 0.6

/** `main` and `second` are positions on the lesson's clock (s), `rate` the speed the viewer chose. */
export function correction(main: number, second: number, rate: number): Correction {
  const behind = main - second
  if (Math.abs(behind) <= IN_STEP_S) return { rate }
  if (Math.abs(behind) >= JUMP_S) return { seek: main, rate }
  return { rate: rate * (behind > 0 ? 1.1 : 0.9) }
}

/**
 * Seconds to add to a position in `from` to get the same moment in `to`, by the wall-clock time (ms) of
 * their zero; 0 when a source names none, as lessons of one clock do.
 */
export function shift(from: number | undefined, to: number | undefined): number {
  return from === undefined || to === undefined ? 0 : (from - to) / 1000
}
