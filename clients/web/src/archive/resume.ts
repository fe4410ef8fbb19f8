/** "Continue at 12:34": a quiet notice where a lesson was left before. */
import { byId, say, show } from '../lib/dom'
import { clock } from '../lib/time'
import type { Player } from './player'

/** Played for so long (s), the notice has had its time. */
const ENOUGH_S = 8

export class Resume {
  readonly #notice = byId('resume', HTMLElement)
  readonly #player: Player
  #at: number | undefined
  #arrived = false

  constructor(player: Player) {
    this.#player = player
    byId('resume-here', HTMLButtonElement).addEventListener('click', () => {
      this.#end()
      player.play()
    })
    byId('resume-start', HTMLButtonElement).addEventListener('click', () => {
      this.#end()
      player.seek(0)
      player.play()
    })
  }

  /** The lesson has been opened at `at` (s), where it was left. */
  offer(at: number): void {
    this.#at = at
    say(byId('resume-here', HTMLButtonElement), 'replay.continue', { at: clock(at) })
    show(this.#notice, true)
  }

  /** Goes when one has gone elsewhere, or has watched on. */
  draw(): void {
    if (this.#at === undefined || this.#player.duration === 0) return
    const since = this.#player.position - this.#at
    // It begins at 0 and goes to its place from there.
    this.#arrived ||= Math.abs(since) < 1
    if (this.#arrived && (since > ENOUGH_S || since < -1)) this.#end()
  }

  #end(): void {
    this.#at = undefined
    show(this.#notice, false)
  }
}
