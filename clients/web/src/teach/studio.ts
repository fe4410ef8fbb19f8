/** The teacher's studio: pickers, preview, switches. It holds the tracks; others are told of changes. */
import type { Source } from '../lib/api'
import {
  devicesAllowed,
  listDevices,
  NONE,
  openDevices,
  openScreen,
  screenAllowed,
} from '../lib/devices'
import { byId, face, h, say, show } from '../lib/dom'
import { type Key, onLanguage, t } from '../lib/i18n'
import { Meter } from './meter'

/** What is on: what is there, and not switched off. */
export type Switches = Readonly<Record<Source, boolean>>

export interface StudioOptions {
  onTrack(source: Source, track: MediaStreamTrack | null): void
  onSwitches(switches: Switches): void
  onProblem(problem: Key | undefined): void
}

const STORE = 'tongbu.devices'

export class Studio {
  readonly tracks: Record<Source, MediaStreamTrack | null> = {
    microphone: null,
    camera: null,
    slides: null,
  }
  readonly #options: StudioOptions
  readonly #camera = byId('camera', HTMLSelectElement)
  readonly #microphone = byId('microphone', HTMLSelectElement)
  readonly #cameraView = byId('camera-preview', HTMLVideoElement)
  readonly #screenView = byId('screen-preview', HTMLVideoElement)
  readonly #meter = new Meter(byId('meter', HTMLMeterElement))
  #muted = false
  #cameraOff = false

  constructor(options: StudioOptions) {
    this.#options = options
    this.#camera.addEventListener('change', () => this.#pick())
    this.#microphone.addEventListener('change', () => this.#pick())
    byId('mute', HTMLButtonElement).addEventListener('click', () => this.#toggleVoice())
    byId('camera-switch', HTMLButtonElement).addEventListener('click', () => this.#toggleCamera())
    const screen = byId('screen', HTMLButtonElement)
    screen.addEventListener('click', () => this.#toggleScreen())
    show(screen, screenAllowed())
    onLanguage(() => void this.#list())
    if (devicesAllowed())
      navigator.mediaDevices.addEventListener('devicechange', () => void this.#list())
  }

  get switches(): Switches {
    const { microphone, camera, slides } = this.tracks
    return {
      microphone: microphone !== null && !this.#muted,
      camera: camera !== null && !this.#cameraOff,
      slides: slides !== null,
    }
  }

  hasSomething(): boolean {
    return Object.values(this.tracks).some((track) => track !== null)
  }

  /** Opens what was picked last time (or the browser's choice) and fills the pickers. */
  async open(): Promise<void> {
    const [camera = '', microphone = ''] = (localStorage.getItem(STORE) ?? '').split('|')
    await this.#open(camera, microphone)
    if (this.tracks.camera || this.tracks.microphone || !devicesAllowed()) return
    // What was remembered may be gone: ask once more for any device.
    if (camera || microphone) await this.#open('', '')
  }

  /** Lets go of every device. */
  close(): void {
    for (const source of ['microphone', 'camera', 'slides'] as const) this.#use(source, null)
  }

  async #open(camera: string, microphone: string): Promise<void> {
    this.#release('camera')
    this.#release('microphone')
    const opened = await openDevices({ camera, microphone })
    this.#use('camera', opened.camera)
    this.#use('microphone', opened.microphone)
    this.#options.onProblem(opened.problem)
    await this.#list()
  }

  async #pick(): Promise<void> {
    localStorage.setItem(STORE, `${this.#camera.value}|${this.#microphone.value}`)
    await this.#open(this.#camera.value, this.#microphone.value)
  }

  /** A device must be let go before another is opened: some cameras serve one user only. */
  #release(source: Source): void {
    this.tracks[source]?.stop()
    this.tracks[source] = null
  }

  #use(source: Source, track: MediaStreamTrack | null): void {
    this.#release(source)
    this.tracks[source] = track
    if (source === 'microphone' && track) track.enabled = !this.#muted
    if (source === 'camera' && track) track.enabled = !this.#cameraOff
    track?.addEventListener('ended', () => this.#lost(source, track))
    if (source === 'microphone') this.#meter.watch(track)
    this.#draw()
    this.#options.onTrack(source, track)
    this.#options.onSwitches(this.switches)
  }

  /** The browser's own "stop sharing" bar, or a pulled plug; our own stop() fires no event. */
  #lost(source: Source, track: MediaStreamTrack): void {
    if (this.tracks[source] !== track) return
    this.#use(source, null)
    if (source !== 'slides') this.#options.onProblem('error.lostDevice')
  }

  #toggleVoice(): void {
    this.#muted = !this.#muted
    if (this.tracks.microphone) this.tracks.microphone.enabled = !this.#muted
    this.#draw()
    this.#options.onSwitches(this.switches)
  }

  #toggleCamera(): void {
    this.#cameraOff = !this.#cameraOff
    if (this.tracks.camera) this.tracks.camera.enabled = !this.#cameraOff
    this.#draw()
    this.#options.onSwitches(this.switches)
  }

  async #toggleScreen(): Promise<void> {
    if (this.tracks.slides) return this.#use('slides', null)
    try {
      const track = await openScreen()
      if (track) this.#use('slides', track)
    } catch {
      this.#options.onProblem('error.screen')
    }
  }

  #draw(): void {
    const { camera, slides } = this.tracks
    this.#cameraView.srcObject = camera ? new MediaStream([camera]) : null
    this.#screenView.srcObject = slides ? new MediaStream([slides]) : null
    show(this.#screenView, slides !== null)
    show(byId('camera-off', HTMLElement), !this.switches.camera)
    pressed('mute', this.#muted)
    face(
      byId('mute', HTMLElement),
      this.#muted ? 'micOff' : 'mic',
      this.#muted ? 'teach.unmute' : 'teach.mute',
    )
    pressed('camera-switch', this.#cameraOff)
    const cameraKey = this.#cameraOff ? 'teach.cameraOn' : 'teach.cameraOff'
    face(byId('camera-switch', HTMLElement), this.#cameraOff ? 'cameraOff' : 'camera', cameraKey)
    pressed('screen', slides !== null)
    face(
      byId('screen', HTMLElement),
      slides ? 'screenOff' : 'screen',
      slides ? 'teach.stopShare' : 'teach.share',
    )
  }

  async #list(): Promise<void> {
    const { cameras, microphones } = await listDevices()
    fill(this.#camera, cameras, this.tracks.camera, 'teach.cameraN', 'teach.noCamera')
    fill(
      this.#microphone,
      microphones,
      this.tracks.microphone,
      'teach.microphoneN',
      'teach.noMicrophone',
    )
  }
}

function fill(
  select: HTMLSelectElement,
  devices: readonly MediaDeviceInfo[],
  track: MediaStreamTrack | null,
  numbered: 'teach.cameraN' | 'teach.microphoneN',
  none: 'teach.noCamera' | 'teach.noMicrophone',
): void {
  const options = devices
    .filter((device) => device.deviceId)
    .map((device, at) =>
      h('option', { value: device.deviceId }, device.label || t(numbered, { n: at + 1 })),
    )
  const nothing = h('option', { value: NONE })
  say(nothing, none)
  select.replaceChildren(...options, nothing)
  select.value = track?.getSettings().deviceId ?? NONE
  if (select.selectedIndex < 0) select.selectedIndex = 0
}

function pressed(id: string, on: boolean): void {
  byId(id, HTMLButtonElement).setAttribute('aria-pressed', String(on))
}
