/** The pictures: what is big, what is small, what is not there. */
import { byId, face, say, show } from '../lib/dom'
import type { Picture, Switches } from '../lib/signals'
import { Pause } from './pause'
import { SlidesPresence } from './presence'
import type { Incoming } from './viewer'

const STORE = 'tongbu.swapped'

export class Stage {
  readonly #stage = byId('stage', HTMLElement)
  readonly #camera = byId('camera-video', HTMLVideoElement)
  readonly #slides = byId('slides-video', HTMLVideoElement)
  readonly #swap = byId('swap', HTMLButtonElement)
  readonly #presence = new SlidesPresence()
  readonly #pauses: Readonly<Record<Picture, Pause>> = { camera: new Pause(), slides: new Pause() }
  readonly #onPicture: () => void
  #swapped = localStorage.getItem(STORE) === 'yes'
  #cameraOn = true
  #round = 0

  /** `onPicture` is called at every picture: it must be cheap. */
  constructor(onPicture: () => void) {
    this.#onPicture = onPicture
    this.#swap.addEventListener('click', () => this.#toggle())
    setInterval(() => this.#draw(), 500)
    this.#draw()
  }

  get slidesShown(): boolean {
    return this.#presence.visible(performance.now(), this.#isPaused('slides'))
  }

  /** Whether a picture is missing because the line is too narrow for it. */
  get narrow(): boolean {
    return this.#isPaused('camera') || this.#isPaused('slides')
  }

  attach({ camera, slides }: Incoming): void {
    const round = ++this.#round
    this.#presence.handleNewTrack()
    for (const pause of Object.values(this.#pauses)) pause.handleNewTrack()
    slides.addEventListener('mute', () => this.#presence.handleMuted(performance.now()))
    slides.addEventListener('unmute', () => this.#presence.handleUnmuted())
    put(this.#camera, camera)
    put(this.#slides, slides)
    this.#follow(this.#camera, round, () => this.#cameraFrame())
    // A track that ends turns its picture black, which is a frame too, but not one of slides.
    this.#follow(this.#slides, round, () => slides.readyState === 'live' && this.#slidesFrame())
  }

  /** Keeps the last pictures on screen until new tracks come. */
  hold(): void {
    this.#camera.pause()
    this.#slides.pause()
  }

  handleSwitches({ camera, slides }: Switches): void {
    this.#cameraOn = camera
    this.#presence.handleShared(slides, performance.now())
    this.#draw()
  }

  handleQuality(source: Picture, state: 'paused' | 'playing'): void {
    this.#pauses[source].handleState(state, performance.now())
    // There is no picture to wait for: the words in its place are what there is to see.
    if (state === 'paused') this.#onPicture()
    this.#draw()
  }

  handleSlidesUnlisted(): void {
    this.#presence.handleUnlisted(performance.now())
    this.#draw()
  }

  /** Calls back at every frame that is shown of this round's track. */
  #follow(video: HTMLVideoElement, round: number, onFrame: () => void): void {
    const frame = () => {
      if (round !== this.#round) return
      onFrame()
      if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(frame)
    }
    if ('requestVideoFrameCallback' in video) video.requestVideoFrameCallback(frame)
    else (video as HTMLVideoElement).addEventListener('timeupdate', frame)
  }

  #cameraFrame(): void {
    this.#onPicture()
    const wasPaused = this.#isPaused('camera')
    this.#pauses.camera.handleFrame(performance.now())
    if (wasPaused) this.#draw()
  }

  #slidesFrame(): void {
    this.#onPicture()
    const redraw = !this.slidesShown || this.#isPaused('slides')
    this.#presence.handleFrame(performance.now())
    this.#pauses.slides.handleFrame(performance.now())
    if (redraw) this.#draw()
  }

  #isPaused(source: Picture): boolean {
    return this.#pauses[source].visible(performance.now())
  }

  #toggle(): void {
    this.#swapped = !this.#swapped
    localStorage.setItem(STORE, this.#swapped ? 'yes' : 'no')
    this.#draw()
  }

  #draw(): void {
    const slides = this.slidesShown
    const [cameraPaused, slidesPaused] = [this.#isPaused('camera'), this.#isPaused('slides')]
    // Words need no big place while there is a page to read.
    const camera = this.#cameraOn && !cameraPaused
    const layout = !slides ? 'camera' : this.#swapped && camera ? 'camera-slides' : 'slides-camera'
    if (this.#stage.dataset.layout !== layout) this.#stage.dataset.layout = layout
    show(this.#swap, slides && camera)
    byId('slides-picture', HTMLElement).toggleAttribute('data-paused', slidesPaused)
    show(byId('slides-paused', HTMLElement), slidesPaused)
    byId('camera-picture', HTMLElement).toggleAttribute('data-covered', !camera)
    show(byId('camera-off', HTMLElement), !camera)
    if (!camera) this.#explain(slides, slidesPaused)
  }

  /** Says why there is no camera; below slides that are paused as well it is said already. */
  #explain(slides: boolean, slidesPaused: boolean): void {
    const detail = byId('camera-off-detail', HTMLElement)
    say(
      byId('camera-off-title', HTMLElement),
      this.#cameraOn ? 'join.cameraPaused' : 'join.cameraOff',
    )
    show(detail, slidesPaused ? !slides : this.#cameraOn)
    if (slidesPaused) say(detail, 'join.onlyVoice')
    else say(detail, slides ? 'join.slidesFirst' : 'join.voiceFirst')
  }
}

/** Full screen of the room; the bar hides while nobody moves. */
export class FullScreen {
  readonly #room = byId('room', HTMLElement)
  readonly #button = byId('fullscreen', HTMLButtonElement)
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    show(this.#button, document.fullscreenEnabled)
    this.#button.addEventListener('click', () => void this.#toggle())
    document.addEventListener('fullscreenchange', () => this.#changed())
    for (const kind of ['pointermove', 'pointerdown', 'keydown', 'focusin'])
      this.#room.addEventListener(kind, () => this.#wake())
  }

  async #toggle(): Promise<void> {
    if (document.fullscreenElement) await document.exitFullscreen()
    else await this.#room.requestFullscreen().catch(() => {})
  }

  #changed(): void {
    const full = document.fullscreenElement !== null
    face(
      this.#button,
      full ? 'shrink' : 'expand',
      full ? 'join.leaveFullscreen' : 'join.fullscreen',
    )
    this.#wake()
  }

  #wake(): void {
    clearTimeout(this.#timer)
    this.#room.classList.remove('still')
    if (!document.fullscreenElement) return
    this.#timer = setTimeout(() => this.#room.classList.add('still'), 3000)
  }
}

function put(video: HTMLVideoElement, track: MediaStreamTrack): void {
  video.srcObject = new MediaStream([track])
  // A muted video may always start by itself; a refusal here is only a newer srcObject.
  void video.play().catch(() => {})
}
