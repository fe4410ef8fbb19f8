/**
 * Whether words stand for a picture that the node has paused because the line is too narrow.
 * They come when the picture stands still, not before: what is in the jitter buffer is still shown.
 * They go with its first new frame. Pure: time (ms) is an argument.
 */

/** No camera that plays is still for so long. */
const STILL_MS = 500
/** The most a jitter buffer holds: by then the picture is still, whatever seems to come. */
const BUFFER_MS = 4_000
/** A frame for the return comes within a few round trips; later the words would be untrue. */
const RETURN_MS = 5_000

export class Pause {
  #since: number | undefined
  #playsSince: number | undefined
  #lastFrame = Number.NEGATIVE_INFINITY

  /** The node's word. */
  handleState(state: 'paused' | 'playing', now: number): void {
    if (state === 'playing') this.#playsSince ??= now
    else {
      this.#since ??= now
      this.#playsSince = undefined
    }
  }

  handleFrame(now: number): void {
    this.#lastFrame = now
    if (this.#playsSince !== undefined) this.#end()
  }

  /** A new call: the node tells again what it pauses. */
  handleNewTrack(): void {
    this.#end()
    this.#lastFrame = Number.NEGATIVE_INFINITY
  }

  visible(now: number): boolean {
    if (this.#playsSince !== undefined && now - this.#playsSince > RETURN_MS) this.#end()
    if (this.#since === undefined) return false
    return now - this.#lastFrame > STILL_MS || now - this.#since > BUFFER_MS
  }

  #end(): void {
    this.#since = undefined
    this.#playsSince = undefined
  }
}
