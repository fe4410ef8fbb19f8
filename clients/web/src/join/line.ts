/** The hint about a school's own connection, and how long it waits for repair. */
import type { RemoteTrack, Room, TrackPublication } from 'livekit-client'
import { byId, say, show } from '../lib/dom'
import { statistics } from '../lib/room'
import { downlinkSample, quality, rates, type Sample, Steady } from '../lib/stats'
import { Playout, setPlayout } from './playout'

export class Line {
  readonly #hint = byId('quality', HTMLElement)
  readonly #room: Room
  readonly #playout = new Playout()
  #steady = new Steady()
  #last: Sample | undefined

  constructor(room: Room) {
    this.#room = room
  }

  /** A new connection: what was measured before says nothing about it. */
  reset(): void {
    this.#steady = new Steady()
    this.#last = undefined
    show(this.#hint, false)
  }

  /** `narrow`: a picture does not fit on it, however clean it is. `speaks`: we have the floor. */
  async measure({ narrow, speaks }: { narrow: boolean; speaks: boolean }): Promise<void> {
    // Where all is switched off nothing comes, on the best of lines.
    if (!this.#publications().some(({ isMuted, track }) => track && !isMuted)) return this.reset()
    const sample = downlinkSample((await statistics(this.#room)).values())
    const now = this.#last && rates(this.#last, sample)
    this.#last = sample
    if (!now) return
    const late = now.tcp ? 100 : now.lossPercent // what is lost by TCP holds up all that follows
    const delay = this.#playout.handleLine(now.rttMs / 1000, late, speaks)
    setPlayout(this.#receivers(), delay)
    const heard = this.#steady.next(quality(now))
    const word = heard === 'good' && narrow ? 'weak' : heard
    this.#hint.dataset.quality = word
    show(this.#hint, true)
    say(byId('quality-word', HTMLElement), `quality.${word}`)
  }

  #receivers(): (RTCRtpReceiver | undefined)[] {
    return this.#publications().map(({ track }) => (track as RemoteTrack | undefined)?.receiver)
  }

  #publications(): TrackPublication[] {
    const people = [...this.#room.remoteParticipants.values()]
    return people.flatMap((person) => [...person.trackPublications.values()])
  }
}
