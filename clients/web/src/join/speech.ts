/**
 * A school speaks: its devices are opened when it raises its hand, so that it is seen and heard at
 * once when it is given the floor, and let go when it has neither.
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

export class Speech {
  readonly #room: Room
  readonly #onProblem: (problem: Key) => void
  #opening: Promise<Tracks> | undefined
  #speaks = false

  constructor(room: Room, onProblem: (problem: Key) => void) {
    this.#room = room
    this.#onProblem = onProblem
  }

  /** `asks`: our hand is up. `speaks`: we have the floor, and may publish. */
  handleFloor(asks: boolean, speaks: boolean): void {
    if (asks || speaks) void this.prepare()
    else this.#release()
    if (speaks && !this.#speaks) void this.#publish()
    if (!speaks && this.#speaks) void this.#unpublish()
    this.#speaks = speaks
  }

  /** Opens camera and microphone; the browser may ask the school first. */
  prepare(): Promise<Tracks> {
    this.#opening ??= openDevices({ camera: '', microphone: '' }, CLASS).then((opened) => {
      if (opened.problem) this.#onProblem(opened.problem)
      return opened
    })
    return this.#opening
  }

  async #publish(): Promise<void> {
    const opening = this.prepare()
    const { camera, microphone } = await opening
    if (this.#opening !== opening || !this.#speaks) return
    const sending: Promise<unknown>[] = []
    if (microphone)
      sending.push(this.#send(microphone, { source: Track.Source.Microphone, ...VOICE }))
    if (camera) {
      const sizes = cameraOptions(camera.getSettings())
      // LiveKit's own clients send VP8: who joined earlier expects it of who speaks.
      const codec = { videoCodec: 'vp8', backupCodec: false } as const
      sending.push(this.#send(camera, { source: Track.Source.Camera, ...codec, ...sizes }))
    }
    await Promise.allSettled(sending)
    if (!this.#speaks) await this.#unpublish()
  }

  #send(track: MediaStreamTrack, options: TrackPublishOptions): Promise<unknown> {
    return this.#room.localParticipant.publishTrack(ours(track), options)
  }

  async #unpublish(): Promise<void> {
    const { localParticipant } = this.#room
    const tracks = [...localParticipant.trackPublications.values()].map(({ track }) => track)
    await localParticipant.unpublishTracks(tracks.filter((track) => track !== undefined))
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
