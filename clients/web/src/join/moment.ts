/**
 * What a school sees of a lesson: its own link, and whether anybody teaches. Pure: time (ms) is an
 * argument.
 */
import type { LinkState } from '../lib/link'

/** A teacher whose connection is lost comes back within this time, or the lesson waits. */
const AWAY_MS = 30_000

export class Moment {
  #link: LinkState = 'connecting'
  #taught = false
  #leftAt = Number.NEGATIVE_INFINITY
  #rang = false

  handleLink(state: LinkState): void {
    this.#link = state
    if (state === 'ended') this.#rang = true
    if (state !== 'live' && state !== 'reconnecting') this.#taught = false
  }

  handleTeacher(taught: boolean, now: number): void {
    if (this.#taught && !taught) this.#leftAt = now
    if (taught) this.#rang = false
    this.#taught = taught
  }

  state(now: number): LinkState {
    if (this.#link !== 'live' || this.#taught) return this.#link
    if (this.#rang) return 'ended'
    return now - this.#leftAt < AWAY_MS ? 'reconnecting' : 'waiting'
  }
}
