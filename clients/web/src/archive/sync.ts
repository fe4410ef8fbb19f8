/** Keeps the second picture in step with the first. Pure. */

export interface Correction {
  /** Jump to this time, in seconds. */
  seek?: number
  /** Play at this rate until the next look. */
  rate: number
  /** Do not play until the next look. */
  hold: boolean
}

export interface Look {
  /** Positions on the lesson's clock (s). */
  main: number
  second: number
  /** The speed the viewer chose. */
  rate: number
  /** The first picture stands: paused, or waiting for data. */
  still: boolean
  /** The second one has not yet arrived where it was sent. */
  seeking: boolean
}

/** Off by less is in step: a face and a slide need no more. */
const IN_STEP_S = 0.05
/** Off by more is jumped, less is caught up unseen by 10 % of speed. */
const JUMP_S = 0.6
/** What stands is seen for long: half a picture at 30 a second. */
const SAME_PICTURE_S = 0.017
/** No jump is aimed further ahead, however slow the link. */
const MOST_AHEAD_S = 10

/**
 * One follower. On a slow link a jump takes so long that its goal is past when it arrives; the next
 * one is then aimed ahead by what the last one took, and waits there.
 */
export class Follower {
  #asked: number | undefined
  #ahead = 0
  #landing = false
  #stood: number | undefined

  /** What to do now; `now` in seconds of any steady clock. */
  look({ main, second, rate, still, seeking }: Look, now: number): Correction {
    if (seeking) return { rate, hold: still || this.#landing }
    this.#arrived(now)
    const behind = main - second
    if (still) return this.#stand(behind, main, rate, now)
    this.#stood = undefined
    if (this.#landing && behind < 0 && -behind <= this.#ahead + JUMP_S) return { rate, hold: true }
    this.#landing = false
    if (Math.abs(behind) <= IN_STEP_S) return { rate, hold: false }
    if (Math.abs(behind) < JUMP_S) return { rate: rate * (behind > 0 ? 1.1 : 0.9), hold: false }
    this.#landing = this.#ahead > 0
    return { seek: this.#send(main + this.#ahead * rate, now), rate, hold: this.#landing }
  }

  /** Sent once to where the first one stands: a picture may be a little longer than that. */
  #stand(behind: number, main: number, rate: number, now: number): Correction {
    this.#landing = false
    if (Math.abs(behind) <= SAME_PICTURE_S || this.#stood === main) return { rate, hold: true }
    this.#stood = main
    return { seek: this.#send(main, now), rate, hold: true }
  }

  #send(to: number, now: number): number {
    this.#asked = now
    return to
  }

  #arrived(now: number): void {
    if (this.#asked === undefined) return
    const took = now - this.#asked
    this.#ahead = took > JUMP_S ? Math.min(MOST_AHEAD_S, took) : 0
    this.#asked = undefined
  }
}

/**
 * Seconds to add to a position in `from` to get the same moment in `to`, by the wall-clock time (ms) of
 * their zero; 0 when a source names none, as lessons of one clock do.
 */
export function shift(from: number | undefined, to: number | undefined): number {
  return from === undefined || to === undefined ? 0 : (from - to) / 1000
}
