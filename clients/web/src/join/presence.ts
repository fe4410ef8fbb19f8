/**
 * Whether slides are shown. They appear with their first frame. A still page may send nothing for
 * long, so silence alone hides nothing: only the teacher's word, a track that stays muted, or a node
 * that no longer lists slides while no frame comes. Pure: time (ms) is an argument.
 */
const MUTED_MS = 5_000
const QUIET_MS = 3_000
/** The last frames are still on their way when the teacher's word arrives. */
const LATE_MS = 2_000

export class SlidesPresence {
  #shown = false
  #lastFrame = Number.NEGATIVE_INFINITY
  #mutedSince: number | undefined
  #ignoreUntil = Number.NEGATIVE_INFINITY

  handleFrame(now: number): void {
    this.#lastFrame = now
    if (now >= this.#ignoreUntil) this.#shown = true
  }

  handleMuted(now: number): void {
    this.#mutedSince ??= now
  }

  handleUnmuted(): void {
    this.#mutedSince = undefined
  }

  /** The node's list of tracks holds no slides. */
  handleUnlisted(now: number): void {
    if (now - this.#lastFrame > QUIET_MS) this.#shown = false
  }

  /** A new call: the next frame shows them again. */
  handleNewTrack(): void {
    this.#shown = false
    this.#mutedSince = undefined
    this.#ignoreUntil = Number.NEGATIVE_INFINITY
  }

  /** The teacher's word. */
  handleShared(shared: boolean, now: number): void {
    if (!shared && this.#shown) this.#ignoreUntil = now + LATE_MS
    if (shared) this.#ignoreUntil = Number.NEGATIVE_INFINITY
    else this.#shown = false
  }

  /** `paused`: the node sends none for a while, so that a muted track says nothing. */
  visible(now: number, paused = false): boolean {
    const muted = !paused && this.#mutedSince !== undefined && now - this.#mutedSince > MUTED_MS
    if (muted && now - this.#lastFrame > QUIET_MS) this.#shown = false
    return this.#shown
  }
}
