/**
 * Whether slides are shown. They appear with their first frame. A still page may send nothing for
 * long, so silence alone hides nothing: only the teacher's word, a track that stays muted, or a node
 * that no longer lists slides while no frame comes. Pure: time (ms) is an argument.
 */
const MUTED_MS = 5_000
const QUIET_MS = 3_000

export class SlidesPresence {
  #shown = false
  #lastFrame = Number.NEGATIVE_INFINITY
  #mutedSince: number | undefined

  handleFrame(now: number): void {
    this.#lastFrame = now
    this.#shown = true
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

  /** The teacher stopped sharing, or the call is a new one: the next frame shows them again. */
  handleStopped(): void {
    this.#shown = false
  }

  visible(now: number): boolean {
    const muted = this.#mutedSince !== undefined && now - this.#mutedSince > MUTED_MS
    if (muted && now - this.#lastFrame > QUIET_MS) this.#shown = false
    return this.#shown
  }
}
