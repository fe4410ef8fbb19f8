/** Two pictures, one clock: the main one has the controls and the sound, the second one follows. */
import type { View } from '../lib/api'
import { type Loaded, load } from './source'
import { correction, shift } from './sync'

export interface PlayerOptions {
  main: HTMLVideoElement
  second: HTMLVideoElement
  /** No retry can help: this browser does not play this recording. */
  onFatal(): void
}

const LOOK_MS = 200
const JUMP_S = 10
const LOUDER = 0.1
/** Two sources whose clocks differ by less need no seek when the view is switched. */
const SAME_S = 0.3

export class Player {
  readonly #main: HTMLVideoElement
  readonly #second: HTMLVideoElement
  readonly #onFatal: () => void
  #loaded: { main?: Loaded; second?: Loaded } = {}
  #rate = 1
  #turn = 0

  constructor({ main, second, onFatal }: PlayerOptions) {
    this.#main = main
    this.#second = second
    this.#onFatal = onFatal
    setInterval(() => this.#follow(), LOOK_MS)
    for (const kind of ['play', 'playing', 'pause', 'seeking', 'waiting'])
      main.addEventListener(kind, () => this.#follow())
    // A new source sets the speed back.
    main.addEventListener('loadedmetadata', () => this.#applyRate())
  }

  get position(): number {
    return this.#main.currentTime
  }

  /** Shows these views from `at` (s); undefined: from where the lesson's state suggests. */
  async open(views: { main?: View; second?: View }, at: number | undefined): Promise<void> {
    const turn = ++this.#turn
    const before = this.#loaded.main?.epoch()
    const playing = !this.#main.paused
    this.#close()
    if (!views.main) return
    const main = await load(this.#main, views.main, { at, onFatal: this.#onFatal })
    if (turn !== this.#turn) return main.destroy()
    this.#loaded.main = main
    if (playing) void this.#main.play().catch(() => {})
    this.#alignOnce(before)
    if (views.second) await this.#openSecond(views.second, at, turn)
  }

  set rate(rate: number) {
    this.#rate = rate
    this.#applyRate()
  }

  toEdge(): void {
    if (this.#loaded.main) this.#main.currentTime = this.#loaded.main.edge()
    void this.#main.play().catch(() => {})
  }

  /** A key of the keyboard; false when it means nothing here. */
  press(key: string): boolean {
    const main = this.#main
    if (key === ' ') main.paused ? void main.play().catch(() => {}) : main.pause()
    else if (key === 'ArrowLeft') main.currentTime = Math.max(0, main.currentTime - JUMP_S)
    else if (key === 'ArrowRight')
      main.currentTime = Math.min(main.duration || 0, main.currentTime + JUMP_S)
    else if (key === 'ArrowUp') main.volume = Math.min(1, main.volume + LOUDER)
    else if (key === 'ArrowDown') main.volume = Math.max(0, main.volume - LOUDER)
    else return false
    return true
  }

  async #openSecond(view: View, at: number | undefined, turn: number): Promise<void> {
    // A second picture that fails is missed, not mourned: the main one plays on.
    const second = await load(this.#second, view, { at, onFatal: () => {} })
    if (turn !== this.#turn) return second.destroy()
    this.#loaded.second = second
  }

  #close(): void {
    this.#loaded.main?.destroy()
    this.#loaded.second?.destroy()
    this.#loaded = {}
  }

  /** After a switch between sources whose zero differs, goes to the same moment of the lesson. */
  #alignOnce(before: number | undefined): void {
    const align = () => {
      const by = shift(before, this.#loaded.main?.epoch())
      if (Math.abs(by) > SAME_S) this.#main.currentTime += by
    }
    this.#main.addEventListener('loadeddata', align, { once: true })
  }

  #applyRate(): void {
    this.#main.playbackRate = this.#rate
  }

  #follow(): void {
    const { main, second } = this.#loaded
    const follower = this.#second
    if (!main || !second || follower.readyState === 0) return
    const target = this.#main.currentTime + shift(main.epoch(), second.epoch())
    const { seek, rate } = correction(target, follower.currentTime, this.#main.playbackRate)
    if (seek !== undefined && !follower.seeking) follower.currentTime = Math.max(0, seek)
    if (follower.playbackRate !== rate) follower.playbackRate = rate
    const still = this.#main.paused || this.#main.readyState < HTMLMediaElement.HAVE_FUTURE_DATA
    if (still && !follower.paused) follower.pause()
    if (!still && follower.paused && !follower.ended) void follower.play().catch(() => {})
  }
}
