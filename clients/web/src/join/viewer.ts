/** A school's place in the lesson: its state, and what there is to see and to hear. */
import {
  ConnectionState,
  type Participant,
  type RemoteAudioTrack,
  type Room,
  RoomEvent,
  Track,
  type TrackPublication,
} from 'livekit-client'
import { cast, nameOf, publishes } from '../lib/cast'
import { askForDependencies } from '../lib/extensions'
import { type Floor, parseFloor } from '../lib/floor'
import { judgeSchool } from '../lib/judge'
import { Link, type LinkState } from '../lib/link'
import { enter, makeRoom, onChange } from '../lib/room'
import { Moment } from './moment'
import type { Picture, Scene } from './stage'

export interface ViewerOptions {
  /** Asked for at each attempt: tokens expire while a school waits. */
  token(): Promise<string>
  network: EventTarget
  onState(state: LinkState, error?: unknown): void
  onScene(scene: Scene, voices: ReadonlySet<RemoteAudioTrack>): void
  onFloor(floor: Floor): void
  /** The browser cannot show a picture's format. */
  onNoCodec(): void
}

export class Viewer {
  readonly room: Room = makeRoom()
  readonly #options: ViewerOptions
  readonly #link: Link
  readonly #moment = new Moment()
  #state: LinkState | undefined

  constructor(options: ViewerOptions) {
    this.#options = options
    askForDependencies()
    this.#link = new Link({
      dial: async () => enter(this.room, await options.token()),
      judge: (error, wasLive) => judgeSchool(error, wasLive, Math.random()),
      onState: (state, error) => this.#linked(state, error),
      network: options.network,
    })
    onChange(this.room, () => this.#look())
    // What the room mends by itself.
    this.room.on(RoomEvent.Reconnecting, () => this.#linked('reconnecting'))
    this.room.on(RoomEvent.Reconnected, () => this.#linked('live'))
    this.room.on(RoomEvent.TrackSubscriptionFailed, () => options.onNoCodec())
    setInterval(() => this.#tell(), 1000)
  }

  run(): Promise<void> {
    return this.#link.run()
  }

  get connected(): boolean {
    return this.room.state === ConnectionState.Connected
  }

  get floor(): Floor {
    return parseFloor(this.room.metadata)
  }

  #linked(state: LinkState, error?: unknown): void {
    this.#moment.handleLink(state)
    if (state === 'live') this.#look()
    this.#tell(error)
  }

  /** Looks at the whole room: whatever has changed, this is what is so now. */
  #look(): void {
    const { holder, hands } = this.floor
    const people = [...this.room.remoteParticipants.values()]
    const { teacher } = cast<Participant>(people, holder)
    this.#moment.handleTeacher(teacher !== undefined && publishes(teacher), performance.now())
    this.#tell()
    const { speaker } = cast<Participant>([this.room.localParticipant, ...people], holder)
    const seen = (source: Track.Source) => picture(teacher?.getTrackPublication(source))
    const scene: Scene = {
      camera: seen(Track.Source.Camera),
      slides: seen(Track.Source.ScreenShare),
      floor: speaker && {
        ...picture(speaker.getTrackPublication(Track.Source.Camera)),
        name: nameOf(speaker),
        own: speaker === this.room.localParticipant,
      },
    }
    this.#options.onScene(scene, voices(this.room))
    this.#options.onFloor({ holder, hands })
  }

  #tell(error?: unknown): void {
    const state = this.#moment.state(performance.now())
    if (state === this.#state && error === undefined) return
    this.#state = state
    this.#options.onState(state, error)
  }
}

export function picture(publication: TrackPublication | undefined): Picture {
  const track = publication?.track
  return {
    track: track?.mediaStreamTrack,
    on: publication !== undefined && !publication.isMuted,
    paused: track?.streamState === Track.StreamState.Paused,
  }
}

/** All that is heard in a room. */
export function voices(room: Room): ReadonlySet<RemoteAudioTrack> {
  const found = new Set<RemoteAudioTrack>()
  for (const person of room.remoteParticipants.values())
    for (const { audioTrack } of person.audioTrackPublications.values())
      if (audioTrack) found.add(audioTrack as RemoteAudioTrack)
  return found
}
