/** The pictures: what is big, what is small, what is not there. */
import { byId, face, show } from '../lib/dom'
import type { Switches } from '../lib/signals'
import { SlidesPresence } from './presence'
import type { Incoming } from './viewer'

const STORE = 'tongbu.swapped'

export class Stage {
  readonly #stage = byId('stage', HTMLElement)
  readonly #camera = byId('camera-video', HTMLVideoElement)
  readonly #slides = byId('slides-video', HTMLVideoElement)
  readonly #swap = byId('swap', HTMLButtonElement)
  readonly #presence = new SlidesPresence()
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
    return this.#presence.visible(performance.now())
  }

  attach({ camera, slides }: Incoming): void {
    const round = ++this.#round
    this.#presence.handleNewTrack()
    slides.addEventListener('mute', () => this.#presence.handleMuted(performance.now()))
    slides.addEventListener('unmute', () => this.#presence.handleUnmuted())
    put(this.#camera, camera)
    put(this.#slides, slides)
    this.#follow(this.#camera, round, () => this.#onPicture())
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

  #slidesFrame(): void {
    this.#onPicture()
    const wasShown = this.slidesShown
    this.#presence.handleFrame(performance.now())
    if (!wasShown) this.#draw()
  }

  #toggle(): void {
    this.#swapped = !this.#swapped
    localStorage.setItem(STORE, this.#swapped ? 'yes' : 'no')
    this.#draw()
  }

  #draw(): void {
    const slides = this.slidesShown
    const layout = !slides ? 'camera' : this.#swapped ? 'camera-slides' : 'slides-camera'
    if (this.#stage.dataset.layout !== layout) this.#stage.dataset.layout = layout
    show(this.#swap, slides)
    show(byId('camera-off', HTMLElement), !this.#cameraOn)
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
