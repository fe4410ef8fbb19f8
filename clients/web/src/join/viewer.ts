/** A school's way in: WHEP with voice, camera and slides, kept up by the link. */
import { askForDependencies } from '../lib/extensions'
import { judgeSchool } from '../lib/judge'
import { Link, type LinkState } from '../lib/link'
import { isRefused } from '../lib/sdp'
import { NoWebrtc } from '../lib/sentences'
import {
  NODE_CHANNEL,
  type Picture,
  parseNodeSignal,
  parseTeacherSignal,
  type Switches,
  TEACHER_CHANNEL,
} from '../lib/signals'
import { type Call, dial, endpoint } from '../lib/whip'
import { setPlayout } from './playout'

export interface Incoming {
  voice: MediaStreamTrack
  camera: MediaStreamTrack
  slides: MediaStreamTrack
}

export interface ViewerOptions {
  lesson: string
  /** Asked for at each attempt: tokens expire while a school waits. */
  token(): Promise<string>
  network: EventTarget
  onState(state: LinkState, error?: unknown): void
  /** New tracks, at the start and after each reconnection. */
  onTracks(tracks: Incoming): void
  onSwitches(switches: Switches): void
  /** The node holds a picture back, or sends it again. */
  onQuality(source: Picture, state: 'paused' | 'playing'): void
  /** The browser and the node share no format for the camera. */
  onNoCodec(): void
}

export class Viewer {
  readonly #options: ViewerOptions
  readonly #link: Link

  constructor(options: ViewerOptions) {
    this.#options = options
    this.#link = new Link({
      dial: (signal) => this.#dial(signal),
      judge: (error, wasLive) => judgeSchool(error, wasLive, Math.random()),
      onState: options.onState,
      network: options.network,
    })
  }

  run(): Promise<void> {
    return this.#link.run()
  }

  stats(): Promise<RTCStatsReport> | undefined {
    return this.#link.call?.peer.getStats()
  }

  async #dial(signal: AbortSignal): Promise<Call> {
    if (!('RTCPeerConnection' in globalThis)) throw new NoWebrtc()
    const { lesson, token, onTracks, onNoCodec } = this.#options
    const key = await token()
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    // The order is the contract: the first video section is the camera, the second the slides.
    const [voice, camera, slides] = [
      peer.addTransceiver('audio', { direction: 'recvonly' }),
      peer.addTransceiver('video', { direction: 'recvonly' }),
      peer.addTransceiver('video', { direction: 'recvonly' }),
    ]
    for (const section of [camera, slides]) askForDependencies(section)
    this.#listen(peer)
    const call = await dial(peer, endpoint(lesson, 'whep', key), signal)
    if (isRefused(call.answer, camera.mid ?? '')) onNoCodec()
    onTracks({
      voice: voice.receiver.track,
      camera: camera.receiver.track,
      slides: slides.receiver.track,
    })
    return call
  }

  /** Each channel has its own words: what a participant sends is never taken for the node's. */
  #listen(peer: RTCPeerConnection): void {
    const { onQuality, onSwitches } = this.#options
    peer.createDataChannel(NODE_CHANNEL).addEventListener('message', ({ data }) => {
      const signal = parseNodeSignal(data)
      if (signal?.type === 'ended') this.#link.bell()
      if (signal?.type === 'quality') onQuality(signal.source, signal.state)
      if (signal?.type === 'playout') setPlayout(peer.getReceivers(), signal.delay)
    })
    peer.createDataChannel(TEACHER_CHANNEL).addEventListener('message', ({ data }) => {
      const signal = parseTeacherSignal(data)
      if (signal) onSwitches(signal)
    })
  }
}
