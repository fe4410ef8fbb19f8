/**
 * The teacher's way out: voice, camera and slides as three tracks of one participant. What the page
 * sends is what it has: a track that comes is published, one that goes is published no more, and a
 * new connection gets them all again.
 */
import {
  type LocalTrackPublication,
  type Room,
  RoomEvent,
  Track,
  type TrackPublishOptions,
  type VideoCodec,
} from 'livekit-client'
import { endLesson, type Source } from '../lib/api'
import { type CodecName, publishCodec } from '../lib/codec'
import { judgeTeacher } from '../lib/judge'
import { cameraOptions, halve, VOICE } from '../lib/layers'
import { type Call, Link, type LinkState } from '../lib/link'
import { enter, ours, statistics } from '../lib/room'
import { NoCodec } from '../lib/sentences'
import type { Switches } from './studio'

export interface BroadcastOptions {
  room: Room
  lesson: string
  token: string
  /** Send only in this codec. */
  codec: CodecName | undefined
  tracks: Record<Source, MediaStreamTrack | null>
  switches: Switches
  network: EventTarget
  onState(state: LinkState, error?: unknown): void
}

/** Bits per second: what it is worth, not what the line could carry. */
const SLIDES_BPS = 5_000_000
const SLIDES_FPS = 15

const SOURCES: Readonly<Record<Source, Track.Source>> = {
  microphone: Track.Source.Microphone,
  camera: Track.Source.Camera,
  slides: Track.Source.ScreenShare,
}

export class Broadcast {
  readonly #room: Room
  readonly #options: BroadcastOptions
  readonly #link: Link
  readonly #codec: VideoCodec
  #switches: Switches
  /** One change after another: each is a negotiation. */
  #work: Promise<void> = Promise.resolve()

  /** Throws NoCodec. */
  constructor(options: BroadcastOptions) {
    this.#options = options
    this.#room = options.room
    this.#switches = options.switches
    const formats = RTCRtpSender.getCapabilities?.('video')?.codecs ?? []
    const codec = publishCodec(formats, options.codec)
    if (!codec) throw new NoCodec(options.codec ?? 'H264')
    this.#codec = codec
    const { network, onState } = options
    this.#link = new Link({ dial: () => this.#dial(), judge: judgeTeacher, onState, network })
    this.#room.on(RoomEvent.Reconnecting, this.#onTrouble)
    this.#room.on(RoomEvent.Reconnected, this.#onMended)
  }

  // What the room mends by itself.
  readonly #onTrouble = () => this.#options.onState('reconnecting')
  readonly #onMended = () => this.#options.onState('live')

  start(): void {
    void this.#link.run()
  }

  /** Sends another track from now on; a new connection sends it too. */
  replace(source: Source, track: MediaStreamTrack | null): void {
    this.#options.tracks[source] = track
    void this.#settle()
  }

  /** Tells schools what is switched off, so that they show words in place of a black picture. */
  announce(switches: Switches): void {
    this.#switches = switches
    void this.#settle()
  }

  statistics(): Promise<Map<string, unknown>> {
    return statistics(this.#room)
  }

  /** Ends the lesson for everyone. */
  async end(): Promise<void> {
    await endLesson(this.#options.lesson, this.#options.token)
    this.stop()
  }

  /** Leaves without ending the lesson. */
  stop(): void {
    this.#room.off(RoomEvent.Reconnecting, this.#onTrouble)
    this.#room.off(RoomEvent.Reconnected, this.#onMended)
    this.#link.stop()
  }

  async #dial(): Promise<Call> {
    const call = await enter(this.#room, this.#options.token)
    try {
      await this.#settle()
    } catch (error) {
      call.close()
      throw error
    }
    return call
  }

  /** Makes what is published what there is to publish. */
  #settle(): Promise<void> {
    const work = this.#work.then(async () => {
      for (const source of ['microphone', 'camera', 'slides'] as const)
        if (this.#room.state === 'connected') await this.#settleOne(source)
    })
    this.#work = work.catch(() => {})
    return work
  }

  async #settleOne(source: Source): Promise<void> {
    const { localParticipant } = this.#room
    const track = this.#options.tracks[source]
    let published = localParticipant.getTrackPublication(SOURCES[source])
    if (published?.track && published.track.mediaStreamTrack !== track) {
      await localParticipant.unpublishTrack(published.track, false)
      published = undefined
    }
    if (track && !published) published = await this.#publish(source, track)
    if (published) await this.#mute(published, !this.#switches[source])
  }

  async #publish(source: Source, track: MediaStreamTrack): Promise<LocalTrackPublication> {
    const published = await this.#room.localParticipant.publishTrack(ours(track), {
      source: SOURCES[source],
      ...this.#manner(source, track),
    })
    if (source === 'camera') await halve(published.track?.sender)
    // The client of LiveKit sets it to motion for some codecs: text would be blurred.
    if (source === 'slides') track.contentHint = 'text'
    return published
  }

  #manner(source: Source, track: MediaStreamTrack): TrackPublishOptions {
    if (source === 'microphone') return VOICE
    const codec = { videoCodec: this.#codec, backupCodec: false } as const
    if (source === 'camera') return { ...codec, ...cameraOptions(track.getSettings()) }
    // On a narrow line a page keeps its sharpness at the camera's cost.
    const encoding = { maxBitrate: SLIDES_BPS, maxFramerate: SLIDES_FPS, priority: 'high' } as const
    return { ...codec, simulcast: false, screenShareEncoding: encoding }
  }

  async #mute({ track }: LocalTrackPublication, off: boolean): Promise<void> {
    if (!track || track.isMuted === off) return
    await (off ? track.mute() : track.unmute())
  }
}
