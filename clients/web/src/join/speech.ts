/**
 * A school speaks. When it raises its hand its devices are opened and its tracks negotiated, dark
 * and silent, so that it is seen and heard at once when it is given the floor; all is let go when
 * it has neither.
 */
import { type Room, Track, type TrackPublishOptions } from 'livekit-client'
import { openDevices, type Tracks } from '../lib/devices'
import type { Key } from '../lib/i18n'
import { cameraOptions, VOICE } from '../lib/layers'
import { ours } from '../lib/room'

/** Enough for a class in front of one camera, and little enough for a school's line. */
const CLASS: MediaTrackConstraints = {
  width: { ideal: 640 },
  height: { ideal: 360 },
  frameRate: { ideal: 30, max: 30 },
}

export interface Standing {
  /** Our hand is up. */
  asks: boolean
  /** We have the floor. */
  speaks: boolean
  /** The node takes what we publish. */
  allowed: boolean
}

/** What a school speaks with. */
export interface Booth {
  open(): Promise<Tracks & { problem?: Key }>
  publish(tracks: Tracks): Promise<unknown>
  unpublish(): Promise<unknown>
}

export class Speech {
  readonly #booth: Booth
  readonly #onProblem: (problem: Key) => void
  #opening: Promise<Tracks> | undefined
  #speaks = false
  #wanted = false
  #published = false
  #busy = false

  constructor(booth: Booth, onProblem: (problem: Key) => void) {
    this.#booth = booth
    this.#onProblem = onProblem
  }

  handleFloor({ asks, speaks, allowed }: Standing): void {
    this.#speaks = speaks
    if (asks || speaks) void this.prepare().then((tracks) => this.#show(tracks))
    else this.#release()
    this.#wanted = (asks || speaks) && allowed
    void this.#settle()
  }

  /** Opens camera and microphone; the browser may ask the school first. */
  prepare(): Promise<Tracks> {
    this.#opening ??= this.#booth.open().then((opened) => {
      if (opened.problem) this.#onProblem(opened.problem)
      return opened
    })
    return this.#opening
  }

  /** Nobody is seen or heard before it has the floor, not even by the node. */
  #show({ camera, microphone }: Tracks): void {
    for (const track of [camera, microphone]) if (track) track.enabled = this.#speaks
  }

  /** One thing at a time, until what is published is what is wanted. */
  async #settle(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    while (this.#wanted !== this.#published) {
      this.#published = this.#wanted
      await (this.#wanted ? this.#publish() : this.#booth.unpublish()).catch(() => {})
    }
    this.#busy = false
  }

  async #publish(): Promise<void> {
    const opening = this.prepare()
    const tracks = await opening
    if (this.#opening !== opening) return
    this.#show(tracks)
    await this.#booth.publish(tracks)
  }

  #release(): void {
    const opening = this.#opening
    this.#opening = undefined
    void opening?.then(({ camera, microphone }) => {
      camera?.stop()
      microphone?.stop()
    })
  }
}

/** This machine's camera and microphone, and a place in a room. */
export function boothOf({ localParticipant }: Room): Booth {
  const send = (track: MediaStreamTrack, options: TrackPublishOptions) =>
    localParticipant.publishTrack(ours(track), options)
  return {
    open: () => openDevices({ camera: '', microphone: '' }, CLASS),
    publish({ camera, microphone }) {
      const sending: Promise<unknown>[] = []
      if (microphone) sending.push(send(microphone, { source: Track.Source.Microphone, ...VOICE }))
      if (camera) {
        const sizes = cameraOptions(camera.getSettings())
        // LiveKit's own clients send VP8: who joined earlier expects it of who speaks.
        const codec = { videoCodec: 'vp8', backupCodec: false } as const
        sending.push(send(camera, { source: Track.Source.Camera, ...codec, ...sizes }))
      }
      return Promise.allSettled(sending)
    },
    unpublish() {
      const tracks = [...localParticipant.trackPublications.values()].map(({ track }) => track)
      return localParticipant.unpublishTracks(tracks.filter((track) => track !== undefined))
    },
  }
}
