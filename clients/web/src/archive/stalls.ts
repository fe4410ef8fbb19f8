/** Notices a link that is too weak for what is watched. Pure. */

/** Waiting for so long (ms) within the window is not chance. */
const TOO_LONG_MS = 8_000
const WINDOW_MS = 60_000

export class Stalls {
  #since: number | undefined
  #past: { end: number; length: number }[] = []

  /** The player begins or ceases to wait, at `now` (ms). Waits that a jump caused are not meant. */
  handle(waiting: boolean, now: number): void {
    if (waiting) this.#since ??= now
    else if (this.#since !== undefined) {
      this.#past.push({ end: now, length: now - this.#since })
      this.#since = undefined
    }
  }

  /** Whether it has waited so much of late that something lighter should be offered. */
  weak(now: number): boolean {
    this.#past = this.#past.filter(({ end }) => end > now - WINDOW_MS)
    const past = this.#past.reduce((sum, { length }) => sum + length, 0)
    return past + (this.#since === undefined ? 0 : now - this.#since) >= TOO_LONG_MS
  }

  /** What is watched has changed: what was before says nothing. */
  forget(): void {
    this.#past = []
    this.#since = undefined
  }
}
