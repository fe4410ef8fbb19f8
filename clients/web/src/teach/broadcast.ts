/**
 * The teacher's way out: one WHIP session with three sections that always stand (voice, camera,
 * slides), so that a shared screen needs no new negotiation. The link replaces a lost session.
 */
import { endLesson, type Source } from '../lib/api'
import { judgeTeacher } from '../lib/judge'
import { Link, type LinkState } from '../lib/link'
import { type CodecName, isRefused, markSlides, offerOrder, startAt } from '../lib/sdp'
import { NoCodec, NoWebrtc } from '../lib/sentences'
import { type Switches, TEACHER_CHANNEL, type TeacherSignal } from '../lib/signals'
import { type Call, dial, endpoint, hangUp } from '../lib/whip'
import { addCamera, fitCamera } from './layers'

export interface BroadcastOptions {
  lesson: string
  token: string
  /** Offer only this codec. */
  codec: CodecName | undefined
  tracks: Record<Source, MediaStreamTrack | null>
  network: EventTarget
  onState(state: LinkState, error?: unknown): void
}

/** Bits per second: what it is worth, not what the line could carry. */
const SLIDES_BPS = 2_500_000
const VOICE_BPS = 40_000
/** A rural uplink of half a megabit is corrected within its first second. */
const START_KBPS = 800
/** Schools that come late learn the switches within this time. */
const REPEAT_MS = 10_000

export class Broadcast {
  readonly #options: BroadcastOptions
  readonly #link: Link
  #senders = new Map<Source, RTCRtpSender>()
  #channel: RTCDataChannel | undefined
  #switches: Switches = { camera: true, slides: false }
  #repeat: ReturnType<typeof setInterval> | undefined

  constructor(options: BroadcastOptions) {
    this.#options = options
    const { network, onState } = options
    this.#link = new Link({
      dial: (signal) => this.#dial(signal),
      judge: judgeTeacher,
      onState,
      network,
    })
  }

  start(): void {
    this.#repeat = setInterval(() => this.#tell(), REPEAT_MS)
    void this.#link.run().finally(() => clearInterval(this.#repeat))
  }

  /** Sends another track from now on; a lost session's successor sends it too. */
  async replace(source: Source, track: MediaStreamTrack | null): Promise<void> {
    this.#options.tracks[source] = track
    await this.#senders.get(source)?.replaceTrack(track)
    if (source === 'camera') await this.#fitCamera()
  }

  /** Tells schools what is switched off, so that they show words in place of a black picture. */
  announce(switches: Switches): void {
    this.#switches = switches
    this.#tell()
  }

  stats(): Promise<RTCStatsReport> | undefined {
    return this.#link.call?.peer.getStats()
  }

  /** Ends the lesson for everyone: by its session, or by its name when the session is gone. */
  async end(): Promise<void> {
    const { lesson, token } = this.#options
    const call = this.#link.call
    try {
      if (!call) throw new Error('no session is up')
      await hangUp(call, token)
    } catch {
      await endLesson(lesson, token)
    }
    this.stop()
  }

  /** Leaves without ending the lesson. */
  stop(): void {
    this.#link.stop()
  }

  async #dial(signal: AbortSignal): Promise<Call> {
    const { lesson, token, codec } = this.#options
    if (!('RTCPeerConnection' in globalThis)) throw new NoWebrtc()
    const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    try {
      const sections = this.#sections(peer, lesson)
      for (const section of [sections.camera, sections.slides]) preferCodec(section, codec)
      const call = await dial(peer, endpoint(lesson, 'whip', token), signal, {
        offer: (sdp) => markSlides(sdp, sections.slides.mid ?? ''),
        answer: (sdp) => startAt(sdp, START_KBPS),
      })
      if (isRefused(call.answer, sections.camera.mid ?? '')) throw new NoCodec(codec ?? 'H264')
      await this.#fitCamera()
      return call
    } catch (error) {
      peer.close()
      throw error
    }
  }

  #sections(peer: RTCPeerConnection, lesson: string): Record<Source, RTCRtpTransceiver> {
    const { tracks } = this.#options
    const section = (source: Source, sendEncodings: RTCRtpEncodingParameters[]) => {
      const kind = source === 'microphone' ? 'audio' : 'video'
      const streams = [stream(lesson)]
      const init: RTCRtpTransceiverInit = { direction: 'sendonly', streams, sendEncodings }
      const transceiver = peer.addTransceiver(tracks[source] ?? kind, init)
      this.#senders.set(source, transceiver.sender)
      return transceiver
    }
    const sections = {
      microphone: section('microphone', [{ maxBitrate: VOICE_BPS }]),
      camera: addCamera(tracks.camera?.getSettings(), (sizes) => section('camera', sizes)),
      // On a narrow line a page keeps its sharpness at the camera's cost.
      slides: section('slides', [{ maxBitrate: SLIDES_BPS, priority: 'high' }]),
    }
    this.#channel = peer.createDataChannel(TEACHER_CHANNEL)
    this.#channel.addEventListener('open', () => this.#tell())
    return sections
  }

  /** Gives the camera the sizes that suit it, and what was agreed on with the node. */
  async #fitCamera(): Promise<void> {
    const sender = this.#senders.get('camera')
    if (!sender) return
    const parameters = sender.getParameters()
    const size = this.#options.tracks.camera?.getSettings()
    parameters.encodings = fitCamera(parameters.encodings, size, parameters.codecs?.[0]?.mimeType)
    // Refused by a call that is over, or by a browser that goes on with what was offered.
    await sender.setParameters(parameters).catch(() => {})
  }

  #tell(): void {
    if (this.#channel?.readyState !== 'open') return
    const signal: TeacherSignal = { type: 'switches', ...this.#switches }
    this.#channel.send(JSON.stringify(signal))
  }
}

/** A stream per lesson: its id groups voice and camera for lip sync. Made once per page. */
const streams = new Map<string, MediaStream>()

function stream(lesson: string): MediaStream {
  const known = streams.get(lesson) ?? new MediaStream()
  streams.set(lesson, known)
  return known
}

function preferCodec(section: RTCRtpTransceiver, only: CodecName | undefined): void {
  const codecs = RTCRtpSender.getCapabilities?.('video')?.codecs ?? []
  const order = offerOrder(codecs, only)
  if (order.length === 0 && only) throw new NoCodec(only)
  if (order.length > 0) section.setCodecPreferences?.(order)
}
