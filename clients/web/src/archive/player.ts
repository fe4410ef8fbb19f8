/** Several elements, one clock, one sound: the lead has both, the others follow it. */
import type { View } from '../lib/api'
import { calm } from './calm'
import { blank, type Screen, same } from './screen'
import { lastSeekable, load, type Trouble } from './source'
import { Follower, shift } from './sync'
import type { Plan } from './views'

export interface PlayerOptions {
  pictures: readonly [HTMLVideoElement, HTMLVideoElement]
  /** Plays what has no picture. */
  voice: HTMLAudioElement
  /** Something of what the player says has changed. */
  onChange(): void
  /** The lead does not play any more. A second picture that fails is missed, not mourned. */
  onTrouble(trouble: Trouble): void
  /** It does again, by itself. */
  onMended(): void
  /** The node no longer knows us; resolves when it does again. */
  renew(): Promise<void>
  /** The lesson is over, and what it has does not change any more. */
  isClosed(): boolean
}

const LOOK_MS = 200
/** A new lead takes over when it is this near (s) to the old one, or after so long (ms). */
const NEAR_S = 0.3
const PATIENCE_MS = 20_000
/** Two sources whose clocks differ by less need no seek when the view is switched. */
const SAME_S = 0.3
const FRAME_S = 1 / 30
const EVENTS = [
  ...['play', 'playing', 'pause', 'seeking', 'seeked', 'waiting', 'ended', 'canplay'],
  ...['timeupdate', 'progress', 'durationchange', 'loadeddata', 'emptied'],
]

export class Player {
  readonly #options: PlayerOptions
  readonly #screens: readonly Screen[]
  #lead: Screen
  #rate = 1
  #volume = 1
  #muted = false
  #turn = 0

  constructor(options: PlayerOptions) {
    this.#options = options
    const elements = [...options.pictures, options.voice]
    this.#screens = elements.map((element) => blank(element))
    this.#lead = this.#screens[0] ?? blank(options.voice)
    for (const screen of this.#screens) this.#listen(screen)
    setInterval(() => this.#follow(), LOOK_MS)
  }

  /** The element with the sound and the clock. */
  get lead(): HTMLMediaElement {
    return this.#lead.element
  }

  get position(): number {
    return this.lead.currentTime
  }

  /** Seconds; of a live lesson, up to the newest moment. 0 while unknown. */
  get duration(): number {
    const { duration } = this.lead
    return Number.isFinite(duration) ? duration : lastSeekable(this.lead)
  }

  get paused(): boolean {
    return this.lead.paused
  }

  /** It should play and has nothing to play, or looks for the place it was sent to. */
  get waiting(): boolean {
    const { seeking, readyState, ended } = this.lead
    if (this.paused) return seeking
    return !ended && readyState < HTMLMediaElement.HAVE_FUTURE_DATA
  }

  /** The newest moment that plays smoothly, in seconds. */
  get edge(): number {
    return this.#lead.loaded?.edge() ?? 0
  }

  /** Which source each picture element shows; undefined for one that shows nothing. */
  get shown(): readonly (string | undefined)[] {
    return this.#options.pictures.map((element) => this.#of(element)?.view?.source)
  }

  get rate(): number {
    return this.#rate
  }

  set rate(rate: number) {
    this.#rate = rate
    this.#applySound()
    this.#options.onChange()
  }

  get volume(): number {
    return this.#volume
  }

  set volume(volume: number) {
    this.#volume = Math.min(1, Math.max(0, volume))
    this.#muted = this.#volume === 0
    this.#applySound()
    this.#options.onChange()
  }

  get muted(): boolean {
    return this.#muted
  }

  set muted(muted: boolean) {
    this.#muted = muted
    if (!muted && this.#volume === 0) this.#volume = 0.5
    this.#applySound()
    this.#options.onChange()
  }

  /**
   * Shows this, at `at` (s), or where the lesson stands now. What is loaded already stays, and the sound
   * goes on until the new lead is in step. False when another call came in between.
   */
  async open(plan: Plan, at?: number, onStage: () => void = () => {}): Promise<boolean> {
    const turn = ++this.#turn
    const wanted = [plan.lead, ...(plan.second ? [plan.second] : [])]
    const lead = this.#showing(plan.lead) ?? (await this.#fill(plan.lead, wanted, at))
    if (turn !== this.#turn) return false
    if (lead !== this.#lead && this.#lead.loaded) await this.#inStep(lead, turn)
    if (turn !== this.#turn) return false
    this.#promote(lead)
    for (const screen of this.#screens)
      if (screen.view && !wanted.some((view) => same(view, screen.view))) this.#empty(screen)
    onStage()
    if (plan.second && !this.#showing(plan.second)) {
      await calm(lead.element)
      if (turn !== this.#turn) return false
      await this.#fill(plan.second, wanted, at)
    }
    if (turn !== this.#turn) return false
    this.#options.onChange()
    return true
  }

  /** Loads the lead anew, where it stands. */
  async again(): Promise<void> {
    const { view, element } = this.#lead
    if (!view) return
    const [at, paused] = [element.currentTime, element.paused]
    this.#lead.loaded?.destroy()
    await this.#load(this.#lead, view, at)
    if (!paused) this.play()
  }

  play(): void {
    void this.lead.play().catch(() => this.#options.onChange())
  }

  toggle(): void {
    if (this.paused || this.lead.ended) this.play()
    else this.lead.pause()
  }

  seek(to: number): void {
    this.lead.currentTime = Math.min(Math.max(0, to), this.duration || to)
  }

  skip(by: number): void {
    this.seek(this.position + by)
  }

  /** One picture on or back; what plays stops first. */
  step(by: number): void {
    this.lead.pause()
    this.skip(by * FRAME_S)
  }

  toEdge(): void {
    this.lead.currentTime = this.edge
    this.play()
  }

  #listen(screen: Screen): void {
    for (const kind of EVENTS)
      screen.element.addEventListener(kind, () => {
        if (screen !== this.#lead) return
        if (kind !== 'timeupdate' && kind !== 'progress') this.#follow()
        this.#options.onChange()
      })
    // A new source sets the speed back.
    screen.element.addEventListener('loadedmetadata', () => this.#applySound())
  }

  #of(element: HTMLMediaElement): Screen | undefined {
    return this.#screens.find((screen) => screen.element === element)
  }

  #showing(view: View): Screen | undefined {
    return this.#screens.find((screen) => screen.view && same(screen.view, view))
  }

  /** Loads a view into an element that nothing wanted is in. */
  async #fill(view: View, wanted: readonly View[], at: number | undefined): Promise<Screen> {
    const free = this.#screens.filter(
      (screen) =>
        (screen.element === this.#options.voice) === (view.source === 'microphone') &&
        !(screen.view && wanted.some((other) => same(other, screen.view))),
    )
    const idle = free.find((screen) => !screen.loaded) ?? free.find((one) => one !== this.#lead)
    const screen = idle ?? free[0] ?? this.#lead
    if (screen.loaded) this.#empty(screen)
    await this.#load(screen, view, at ?? (this.#lead.loaded ? this.position : undefined))
    return screen
  }

  async #load(screen: Screen, view: View, at: number | undefined): Promise<void> {
    const turn = ++screen.turn
    screen.view = view
    screen.follower = new Follower()
    screen.element.muted = true
    const onTrouble = (trouble: Trouble) => {
      if (screen === this.#lead) this.#options.onTrouble(trouble)
    }
    const loaded = await load(screen.element, view, {
      at,
      closed: this.#options.isClosed(),
      onTrouble,
      onMended: () => screen === this.#lead && this.#options.onMended(),
      renew: this.#options.renew,
    })
    if (turn !== screen.turn) return loaded.destroy()
    screen.loaded = loaded
    this.#applySound()
  }

  #empty(screen: Screen): void {
    screen.turn++
    screen.loaded?.destroy()
    screen.view = undefined
    screen.loaded = undefined
  }

  /** Resolves when a screen could take over unnoticed, or has had its chance. */
  #inStep(screen: Screen, turn: number): Promise<void> {
    const until = performance.now() + PATIENCE_MS
    return new Promise((resolve) => {
      const look = setInterval(() => {
        const { readyState, currentTime, seeking } = screen.element
        const enough = this.paused ? readyState >= 2 : readyState >= 3
        const target = this.position + this.#shiftTo(screen)
        const there = enough && !seeking && Math.abs(target - currentTime) < NEAR_S
        if (!there && turn === this.#turn && performance.now() < until) return
        clearInterval(look)
        resolve()
      }, LOOK_MS / 4)
      this.#follow()
    })
  }

  #promote(screen: Screen): void {
    const old = this.#lead
    if (old === screen) {
      this.#applySound()
      return
    }
    const playing = old.loaded !== undefined && !old.element.paused
    const target = old.loaded ? this.position + this.#shiftTo(screen) : undefined
    this.#lead = screen
    old.element.pause()
    this.#applySound()
    if (target !== undefined && Math.abs(target - this.position) > SAME_S) this.seek(target)
    if (playing) this.play()
  }

  #applySound(): void {
    for (const { element } of this.#screens) {
      const leads = element === this.lead
      element.preservesPitch = true
      element.muted = this.#muted || !leads
      element.volume = this.#volume
      if (leads) element.playbackRate = this.#rate
    }
  }

  #shiftTo(screen: Screen): number {
    return shift(this.#lead.loaded?.epoch(), screen.loaded?.epoch())
  }

  #follow(): void {
    for (const screen of this.#screens)
      if (screen !== this.#lead && screen.loaded && screen.element.readyState > 0)
        this.#correct(screen)
  }

  #correct(screen: Screen): void {
    const { element } = screen
    const still = this.paused || this.lead.ended || this.lead.readyState < 3
    const look = {
      // A picture that ends before the sound does stands at its end.
      main: Math.min(this.position + this.#shiftTo(screen), lastSeekable(element) || Infinity),
      second: element.currentTime,
      rate: this.#rate,
      still,
      seeking: element.seeking,
    }
    const { seek, rate, hold } = screen.follower.look(look, performance.now() / 1000)
    if (seek !== undefined) element.currentTime = Math.max(0, seek)
    if (element.playbackRate !== rate) element.playbackRate = rate
    const stand = hold || still
    if (stand && !element.paused) element.pause()
    if (!stand && element.paused && !element.ended) void element.play().catch(() => {})
  }
}
