/** The classroom's page: its states, and the curtain in front of the pictures. */
import { liveLessons } from '../lib/api'
import { NoLink, tokenFor } from '../lib/auth'
import { Chat } from '../lib/chat'
import { byId, say, show, write } from '../lib/dom'
import { every } from '../lib/every'
import { Desk, type Floor } from '../lib/floor'
import { isLessonName } from '../lib/lesson'
import type { LinkState } from '../lib/link'
import { watchNetwork } from '../lib/network'
import { type Sentence, sentence } from '../lib/sentences'
import { askForLink } from '../lib/shell'
import { keepAwake } from '../lib/wake'
import { FullScreen } from './fullscreen'
import { Hand } from './hand'
import { Line } from './line'
import { Side } from './side'
import { boothOf, Speech } from './speech'
import { Stage } from './stage'
import { Viewer } from './viewer'
import { Voices } from './voice'

/** A lesson whose camera is off shows no picture: then the curtain opens by itself. */
const NO_PICTURE_MS = 4_000
/** 500 schools ask this: it only backs up what the room says. */
const LOOK_MS = 15_000
/** How long a sentence about something that failed is shown. */
const PROBLEM_MS = 8_000

export class JoinPage {
  readonly #lesson: string
  readonly #status = byId('status', HTMLElement)
  readonly #stage = new Stage(() => this.#open())
  #state: LinkState = 'connecting'
  #lessonId: string | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #viewer: Viewer | undefined
  #line: Line | undefined
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
    const viewer = this.#makeViewer()
    this.#viewer = viewer
    this.#line = new Line(viewer.room)
    every(2000, () => this.#measure(viewer))
    every(LOOK_MS, () => this.#look())
    await viewer.run()
  }

  #makeViewer(): Viewer {
    const viewer: Viewer = new Viewer({
      token: () => tokenFor('school', this.#lesson),
      network: watchNetwork(),
      onState: (state, error) => this.#show(state, error),
      onScene: (scene, heard) => {
        this.#stage.handleScene(scene)
        voices.handleTracks(heard)
      },
      onFloor: (floor) => floorChanged(floor),
      onNoCodec: () => this.#problem({ key: 'error.codecView' }),
    })
    const { room } = viewer
    const voices = new Voices(room)
    const side = new Side(room)
    new Chat(room, (line) => side.handleLine(line))
    const speech = new Speech(boothOf(room), (key) => this.#problem({ key }))
    const hand = new Hand({
      desk: new Desk(room),
      onRaise: () => void speech.prepare(),
      onProblem: (problem) => {
        this.#problem(problem)
        floorChanged(viewer.floor)
      },
    })
    const floorChanged = (floor: Floor) => {
      const { identity, permissions } = room.localParticipant
      speech.handleFloor({
        asks: floor.hands.includes(identity),
        speaks: floor.holder === identity,
        allowed: permissions?.canPublish === true,
      })
      hand.handleFloor(floor, identity)
    }
    return viewer
  }

  #show(state: LinkState, error?: unknown): void {
    if (error instanceof NoLink) {
      askForLink()
      return
    }
    const before = this.#state
    this.#state = state
    this.#status.dataset.state = state
    document.body.dataset.state = state
    say(this.#status, `state.${state}`)
    if (state !== 'live') this.#line?.reset()
    if (state === 'live') this.#live(before)
    else if (state === 'reconnecting') this.#hold()
    else this.#curtain(state, error)
    this.#awake(state === 'live' || state === 'reconnecting')
  }

  #awake(on: boolean): void {
    if (!on) this.#release?.()
    this.#release = on ? (this.#release ?? keepAwake()) : undefined
  }

  #live(before: LinkState): void {
    this.#toast(undefined)
    if (before === 'reconnecting') this.#stage.resume()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#open(), NO_PICTURE_MS)
    setTimeout(() => void this.#look().catch(() => {}), 1000)
  }

  #hold(): void {
    this.#stage.hold()
    // Our own connection may be fine: then it is the teacher's that is lost.
    const key = this.#viewer?.connected ? 'join.teacherAway' : 'join.reconnecting'
    this.#toast({ key })
  }

  #open(): void {
    if (this.#state === 'live') show(byId('curtain', HTMLElement), false)
  }

  #curtain(state: Exclude<LinkState, 'live' | 'reconnecting'>, error: unknown): void {
    clearTimeout(this.#timer)
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

  async #measure({ room, floor }: Viewer): Promise<void> {
    if (this.#state !== 'live') return
    const speaks = floor.holder === room.localParticipant.identity
    await this.#line?.measure({ narrow: this.#stage.narrow, speaks })
  }

  #problem(problem: Sentence): void {
    this.#toast(problem)
    setTimeout(() => this.#state === 'live' && this.#toast(undefined), PROBLEM_MS)
  }

  #toast(said: Sentence | undefined): void {
    const toast = byId('toast', HTMLElement)
    show(toast, said !== undefined)
    if (said) say(toast, said.key, said.params)
  }
}
