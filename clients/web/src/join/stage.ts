/** The pictures: what is big, what is small, what is not there. */
import { byId, say, show, write } from '../lib/dom'
import { Pause } from './pause'
import { SlidesPresence } from './presence'

export interface Picture {
  /** Undefined while none comes; the last one is then kept on screen. */
  track: MediaStreamTrack | undefined
  /** Whether its sender shows it. */
  on: boolean
  /** The line is too narrow for it: the node sends none for a while. */
  paused: boolean
}

/** What there is to see. */
export interface Scene {
  camera: Picture
  slides: Picture
  /** Who has the floor, if anybody. */
  floor: (Picture & { name: string; own: boolean }) | undefined
}

type Watched = 'camera' | 'slides'

const STORE = 'tongbu.swapped'

export class Stage {
  readonly #stage = byId('stage', HTMLElement)
  readonly #videos = {
    camera: byId('camera-video', HTMLVideoElement),
    slides: byId('slides-video', HTMLVideoElement),
    floor: byId('floor-video', HTMLVideoElement),
  }
  readonly #swap = byId('swap', HTMLButtonElement)
  readonly #presence = new SlidesPresence()
  readonly #pauses: Readonly<Record<Watched, Pause>> = { camera: new Pause(), slides: new Pause() }
  readonly #rounds: Record<Watched, number> = { camera: 0, slides: 0 }
  readonly #onPicture: () => void
  #swapped = localStorage.getItem(STORE) === 'yes'
  #scene: Scene | undefined

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

  handleScene(scene: Scene): void {
    const now = performance.now()
    for (const source of ['camera', 'slides'] as const) {
      const { track, paused } = scene[source]
      if (track && put(this.#videos[source], track)) this.#begin(source, track)
      this.#pauses[source].handleState(paused ? 'paused' : 'playing', now)
      // There is no picture to wait for: the words in its place are what there is to see.
      if (paused) this.#onPicture()
    }
    this.#presence.handleShared(scene.slides.on, now)
    if (scene.floor?.track) put(this.#videos.floor, scene.floor.track)
    this.#scene = scene
    this.#draw()
  }

  /** Keeps the last pictures on screen until new tracks come. */
  hold(): void {
    for (const video of Object.values(this.#videos)) video.pause()
  }

  /** After `hold`: the same tracks go on. */
  resume(): void {
    for (const video of Object.values(this.#videos)) if (video.srcObject) play(video)
  }

  handleSlidesUnlisted(): void {
    this.#presence.handleUnlisted(performance.now())
    this.#draw()
  }

  #begin(source: Watched, track: MediaStreamTrack): void {
    this.#pauses[source].handleNewTrack()
    const round = ++this.#rounds[source]
    if (source === 'camera') {
      this.#follow(source, round, () => this.#cameraFrame())
      return
    }
    this.#presence.handleNewTrack()
    track.addEventListener('mute', () => this.#presence.handleMuted(performance.now()))
    track.addEventListener('unmute', () => this.#presence.handleUnmuted())
    // A track that ends turns its picture black, which is a frame too, but not one of slides.
    this.#follow(source, round, () => track.readyState === 'live' && this.#slidesFrame())
  }

  /** Calls back at every frame that is shown of this round's track. */
  #follow(source: Watched, round: number, onFrame: () => void): void {
    const video = this.#videos[source]
    const frame = () => {
      if (round !== this.#rounds[source]) return
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

  #isPaused(source: Watched): boolean {
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
    const cameraOn = this.#scene?.camera.on ?? true
    // Words need no big place while there is a page to read.
    const camera = cameraOn && !cameraPaused
    const layout = !slides ? 'camera' : this.#swapped && camera ? 'camera-slides' : 'slides-camera'
    if (this.#stage.dataset.layout !== layout) this.#stage.dataset.layout = layout
    show(this.#swap, slides && camera)
    byId('slides-picture', HTMLElement).toggleAttribute('data-paused', slidesPaused)
    show(byId('slides-paused', HTMLElement), slidesPaused)
    byId('camera-picture', HTMLElement).toggleAttribute('data-covered', !camera)
    show(byId('camera-off', HTMLElement), !camera)
    this.#drawFloor()
    if (camera) return
    const [title, detail] = [
      byId('camera-off-title', HTMLElement),
      byId('camera-off-detail', HTMLElement),
    ]
    say(title, cameraOn ? 'join.cameraPaused' : 'join.cameraOff')
    show(detail, cameraOn)
    if (!cameraOn) return
    if (slidesPaused) say(detail, 'join.onlyVoice')
    else say(detail, slides ? 'join.slidesFirst' : 'join.voiceFirst')
  }

  #drawFloor(): void {
    const floor = this.#scene?.floor
    const picture = byId('floor-picture', HTMLElement)
    this.#stage.toggleAttribute('data-floor', floor !== undefined)
    show(picture, floor !== undefined)
    if (!floor) return
    picture.toggleAttribute('data-covered', !floor.on || floor.paused)
    const name = byId('floor-name', HTMLElement)
    if (floor.own) say(name, 'join.youSpeak')
    else write(name, floor.name)
  }
}

/** Shows this track; whether it was shown already is told by false. */
function put(video: HTMLVideoElement, track: MediaStreamTrack): boolean {
  const shown = video.srcObject instanceof MediaStream ? video.srcObject.getTracks()[0] : undefined
  if (shown === track) return false
  video.srcObject = new MediaStream([track])
  play(video)
  return true
}

function play(video: HTMLVideoElement): void {
  // A muted video may always start by itself; a refusal here is only a newer srcObject.
  void video.play().catch(() => {})
}
