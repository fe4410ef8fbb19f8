/** The classroom's page: its states, and the curtain in front of the pictures. */
import { liveLessons } from '../lib/api'
import { NoLink, tokenFor } from '../lib/auth'
import { byId, say, show, write } from '../lib/dom'
import { every } from '../lib/every'
import { isLessonName } from '../lib/lesson'
import type { LinkState } from '../lib/link'
import { watchNetwork } from '../lib/network'
import { sentence } from '../lib/sentences'
import { askForLink } from '../lib/shell'
import { downlinkSample, quality, rates, type Sample, Steady } from '../lib/stats'
import { keepAwake } from '../lib/wake'
import { FullScreen, Stage } from './stage'
import { Viewer } from './viewer'
import { Voice } from './voice'

/** A lesson whose camera is off shows no picture: then the curtain opens by itself. */
const NO_PICTURE_MS = 4_000
/** 500 schools ask this; it only backs up what the data channel says. */
const LOOK_MS = 15_000

export class JoinPage {
  readonly #lesson: string
  readonly #status = byId('status', HTMLElement)
  readonly #voice = new Voice()
  readonly #stage = new Stage(() => this.#open())
  #state: LinkState = 'connecting'
  #lessonId: string | undefined
  #openTimer: ReturnType<typeof setTimeout> | undefined
  #steady = new Steady()
  #last: Sample | undefined
  #release: (() => void) | undefined

  constructor(lesson: string) {
    this.#lesson = lesson
    new FullScreen()
  }

  async start(): Promise<void> {
    write(byId('room-name', HTMLElement), this.#lesson)
    write(byId('curtain-lesson', HTMLElement), this.#lesson)
    document.title = `${this.#lesson} · Tongbu 同步`
    byId('retry', HTMLButtonElement).addEventListener('click', () => location.reload())
    if (!isLessonName(this.#lesson)) return this.#fail('error.notFound')
    const viewer = new Viewer({
      lesson: this.#lesson,
      token: () => tokenFor('school', this.#lesson),
      network: watchNetwork(),
      onState: (state, error) => this.#show(state, error),
      onTracks: (tracks) => {
        this.#voice.attach(tracks.voice)
        this.#stage.attach(tracks)
      },
      onSwitches: (switches) => this.#stage.handleSwitches(switches),
      onQuality: (source, state) => this.#stage.handleQuality(source, state),
      onNoCodec: () => this.#toast('error.codecView'),
    })
    every(2000, async () => this.#measure(await viewer.stats()))
    every(LOOK_MS, () => this.#look())
    await viewer.run()
  }

  #show(state: LinkState, error?: unknown): void {
    if (error instanceof NoLink) {
      askForLink()
      return
    }
    this.#state = state
    this.#status.dataset.state = state
    say(this.#status, `state.${state}`)
    if (state !== 'live') show(byId('quality', HTMLElement), false)
    if (state === 'live') this.#live()
    else if (state === 'reconnecting') this.#hold()
    else this.#curtain(state, error)
    this.#awake(state === 'live' || state === 'reconnecting')
  }

  #awake(on: boolean): void {
    if (!on) this.#release?.()
    this.#release = on ? (this.#release ?? keepAwake()) : undefined
  }

  #live(): void {
    this.#toast(undefined)
    this.#last = undefined
    this.#steady = new Steady()
    clearTimeout(this.#openTimer)
    this.#openTimer = setTimeout(() => this.#open(), NO_PICTURE_MS)
    setTimeout(() => void this.#look().catch(() => {}), 1000)
  }

  #hold(): void {
    this.#stage.hold()
    this.#toast('join.reconnecting')
  }

  #open(): void {
    if (this.#state === 'live' || this.#state === 'connecting')
      show(byId('curtain', HTMLElement), false)
  }

  #curtain(state: Exclude<LinkState, 'live' | 'reconnecting'>, error: unknown): void {
    clearTimeout(this.#openTimer)
    this.#toast(undefined)
    show(byId('curtain', HTMLElement), true)
    byId('curtain', HTMLElement).dataset.state = state
    show(byId('unmute', HTMLElement), false)
    const [title, detail] = [
      byId('curtain-title', HTMLElement),
      byId('curtain-detail', HTMLElement),
    ]
    say(title, state === 'error' ? 'state.error' : `join.${state}`)
    if (state === 'waiting') say(detail, 'join.waitingDetail')
    else if (state === 'ended') say(detail, 'join.endedDetail')
    else if (error !== undefined) say(detail, sentence(error).key, sentence(error).params)
    else write(detail, '')
    show(byId('retry', HTMLElement), state === 'error')
    this.#replayLink(state === 'ended')
  }

  #replayLink(visible: boolean): void {
    const link = byId('curtain-replay', HTMLAnchorElement)
    const id = this.#lessonId
    link.href = id
      ? `/archive/${encodeURIComponent(id)}`
      : `/archive?q=${encodeURIComponent(this.#lesson)}`
    show(link, visible)
  }

  #fail(key: 'error.notFound'): void {
    this.#status.dataset.state = 'error'
    say(this.#status, 'state.error')
    say(byId('curtain-title', HTMLElement), 'state.error')
    say(byId('curtain-detail', HTMLElement), key)
  }

  /** The node's list: this lesson's id for the replay link, and whether slides are gone. */
  async #look(): Promise<void> {
    if (this.#state !== 'live') return
    const lessons = await liveLessons(await tokenFor('school', this.#lesson))
    const mine = lessons.find((one) => one.lesson === this.#lesson)
    if (!mine) return
    this.#lessonId = mine.id
    if (!mine.tracks.some((track) => track.source === 'slides')) this.#stage.handleSlidesUnlisted()
  }

  #measure(report: RTCStatsReport | undefined): void {
    if (!report || this.#state !== 'live') return
    const sample = downlinkSample(report.values())
    const now = this.#last && rates(this.#last, sample)
    this.#last = sample
    if (!now) return
    const heard = this.#steady.next(quality(now))
    // However clean a line is: one that a picture does not fit on is not good.
    const word = heard === 'good' && this.#stage.narrow ? 'weak' : heard
    const hint = byId('quality', HTMLElement)
    hint.dataset.quality = word
    show(hint, true)
    say(byId('quality-word', HTMLElement), `quality.${word}`)
  }

  #toast(key: 'join.reconnecting' | 'error.codecView' | undefined): void {
    const toast = byId('toast', HTMLElement)
    show(toast, key !== undefined)
    if (key) say(toast, key)
  }
}
