/** One lesson, replayed: facts, views, chapters, downloads; a live one can be rewound. */
import { type Entry, entry } from '../lib/api'
import { byId, face, show } from '../lib/dom'
import { every } from '../lib/every'
import { onLanguage } from '../lib/i18n'
import { archiveToken, enter, showError } from './access'
import { calm } from './calm'
import { Captions } from './captions'
import { type Chapter, neighbour } from './chapters'
import { Chooser, sayChoice } from './chooser'
import { Controls, obey } from './controls'
import { drawDownloads } from './downloads'
import { Editor } from './edit'
import { chaptersOf, talkIn, tilesOf } from './extras'
import { drawFacts, drawHead } from './head'
import { type Command, command, type Focus } from './keys'
import { like, likes, recall, remember } from './memory'
import { linkTo, moment } from './moment'
import { Player } from './player'
import { Resume } from './resume'
import { SeekBar } from './seekbar'
import { note, Side } from './side'
import type { Trouble } from './source'
import { Stage } from './stage'
import { Stalls } from './stalls'
import {
  type Choice,
  choices,
  firstChoice,
  following,
  LIGHT,
  plan,
  playable,
  VOICE,
  voice,
} from './views'

const SAVE_MS = 5_000
const LOOK_MS = 1_000
const LIVE_MS = 3_000
/** After the bell (s), chapters and thumbnails may still come. */
const EXTRAS_S = 60
const COPIED_MS = 2_000
const TROUBLES = {
  network: 'replay.troubleNetwork',
  denied: 'error.expired',
  gone: 'replay.troubleGone',
  codec: 'error.playback',
} as const

export class ReplayPage {
  readonly #id: string
  readonly #pictures = [byId('player', HTMLVideoElement), byId('second', HTMLVideoElement)] as const
  readonly #player = new Player({
    pictures: this.#pictures,
    voice: byId('voice', HTMLAudioElement),
    onChange: () => this.#changed(),
    onTrouble: (trouble) => note(TROUBLES[trouble], canRetry(trouble)),
    onMended: () => note(undefined),
    renew: async () => void (await enter()),
    isClosed: () => this.#isSettled(),
  })
  readonly #stage = new Stage(this.#pictures, () => this.#player.toggle())
  readonly #controls = new Controls(this.#player, (wish) => this.#do(wish))
  readonly #seekBar = new SeekBar({ onSeek: (to) => this.#player.seek(to) })
  readonly #side = new Side((to) => this.#player.seek(to))
  readonly #captions = new Captions(() => this.#changed())
  readonly #resume = new Resume(this.#player)
  readonly #stalls = new Stalls()
  readonly #chooser = new Chooser((choice) => this.#choose(choice))
  readonly #editor = new Editor((saved) => {
    this.#entry = { ...this.#entry, ...saved }
    this.#draw()
  })
  #entry: Entry | undefined
  #choice: Choice | undefined
  #chapters: readonly Chapter[] = []
  #wantedAt: number | undefined
  /** The first picture is there. */
  #calm = Promise.resolve()
  #extras = ''
  #saved = ''

  /** `at` is the moment (s) that the address named. */
  constructor(id: string, at: number | undefined) {
    this.#id = id
    this.#wantedAt = at
  }

  async start(): Promise<void> {
    try {
      const token = await archiveToken()
      const [found] = await Promise.all([entry(this.#id, token), enter()])
      this.#entry = found
    } catch (error) {
      showError(error)
      return
    }
    show(byId('replay', HTMLElement), true)
    this.#wire()
    this.#draw()
    const stop = every(LIVE_MS, async () => {
      if (this.#isSettled() && !this.#isFresh()) stop()
      else await this.#refresh()
    })
  }

  #wire(): void {
    const { rate, volume, muted, captions } = likes()
    if (volume !== undefined) this.#player.volume = volume
    if (muted !== undefined) this.#player.muted = muted
    if (rate !== undefined) this.#player.rate = rate
    this.#captions.on = captions ?? false
    byId('retry', HTMLButtonElement).addEventListener('click', () => this.#retry())
    byId('lighter', HTMLButtonElement).addEventListener('click', () => this.#choose(this.#lighter))
    addEventListener('keydown', (event) => this.#key(event), { capture: true })
    addEventListener('hashchange', () => this.#goTo(moment(location)))
    addEventListener('pagehide', () => this.#save())
    setInterval(() => this.#player.paused || this.#save(), SAVE_MS)
    // Who waits gets no events.
    setInterval(() => this.#drawWeak(), LOOK_MS)
    onLanguage(() => this.#draw())
  }

  get #isLive(): boolean {
    return this.#entry?.state === 'live'
  }

  #isSettled(): boolean {
    return this.#entry?.state !== 'live' && this.#entry?.state !== 'finishing'
  }

  /** Chapters and thumbnails are made in the seconds after the bell. */
  #isFresh(): boolean {
    const { started_at = 0, duration_s = 0, chapters } = this.#entry ?? {}
    return !chapters && Date.now() / 1000 < started_at + duration_s + EXTRAS_S
  }

  async #refresh(): Promise<void> {
    this.#entry = await entry(this.#id, await archiveToken())
    this.#draw()
  }

  #draw(): void {
    const now = this.#entry
    if (!now) return
    this.#drawViews(now)
    drawHead(now)
    drawDownloads(now)
    this.#editor.offer(now)
    void this.#calm.then(() => drawFacts(now))
    void this.#drawExtras(now)
    // A player that stands tells of nothing.
    this.#changed()
  }

  get #possible(): Choice[] {
    return this.#entry ? choices(playable(this.#entry), voice(this.#entry)) : []
  }

  #drawViews(now: Entry): void {
    const possible = this.#possible
    this.#chooser.offer(possible)
    for (const id of ['bar', 'share']) show(byId(id, HTMLElement), possible.length > 0)
    if (possible.length === 0) note(this.#isSettled() ? 'replay.nothing' : 'replay.afterTheBell')
    else if (!this.#choice) this.#first(now, possible)
  }

  async #drawExtras(now: Entry): Promise<void> {
    const known = JSON.stringify([now.chapters, now.thumbnails, now.captions, now.talk, now.notes])
    if (known === this.#extras) return
    this.#extras = known
    this.#captions.tracks = now.captions ?? []
    await this.#calm
    const [chapters, tiles, talk] = await Promise.all([
      chaptersOf(now),
      tilesOf(now),
      talkIn(now).catch(() => []),
    ])
    this.#chapters = this.#side.chapters = this.#seekBar.chapters = chapters
    this.#seekBar.tiles = tiles
    this.#side.talk = talk
    this.#side.notes = now.notes ?? ''
    this.#changed()
  }

  /** The first opening: as one likes it, at the place asked for or left. */
  #first(now: Entry, possible: readonly Choice[]): void {
    byId('player', HTMLVideoElement).poster = now.poster ?? ''
    byId('voice-card', HTMLElement).style.setProperty('--poster', `url("${now.poster ?? ''}")`)
    const left = this.#wantedAt === undefined ? recall(this.#id) : undefined
    const circumstances = {
      remembered: likes().view,
      narrow: matchMedia('(width <= 700px)').matches,
      weak: isWeakLink(),
    }
    const start = this.#isLive ? undefined : 0
    this.#open(firstChoice(possible, circumstances), this.#wantedAt ?? left ?? start)
    this.#calm = calm(this.#player.lead)
    if (left !== undefined) this.#resume.offer(left)
  }

  #choose(choice: Choice | undefined): void {
    if (!choice || choice === this.#choice) return
    like({ view: choice })
    this.#open(choice)
  }

  /** Shows a choice; the pictures change when the new ones are there. */
  #open(choice: Choice | undefined, at?: number): void {
    const now = this.#entry && choice && plan(playable(this.#entry), voice(this.#entry), choice)
    if (!now) return
    this.#choice = choice
    this.#stalls.forget()
    note(undefined)
    this.#chooser.mark(choice)
    this.#chooser.busy = true
    const draw = () => this.#stage.draw(now, this.#player.shown)
    void this.#player.open(now, at, draw).then((done) => {
      if (!done) return
      this.#chooser.busy = false
      draw()
    })
  }

  #retry(): void {
    note(undefined)
    void this.#player.again()
  }

  /** Something lighter than what is watched. */
  get #lighter(): Choice | undefined {
    const possible = this.#possible
    if (this.#choice === VOICE) return undefined
    const light = this.#choice === LIGHT ? [VOICE] : [LIGHT, VOICE]
    return light.find((one) => possible.includes(one))
  }

  #changed(): void {
    const { position, duration, waiting, paused, lead } = this.#player
    this.#controls.draw(this.#isLive)
    this.#seekBar.draw({ position, duration, buffered: lead.buffered, seeking: lead.seeking })
    this.#side.at(position)
    this.#captions.at(position)
    this.#resume.draw()
    this.#stalls.handle(waiting && !paused && !lead.seeking, performance.now())
    this.#drawWeak()
    if (paused && !waiting) this.#save()
  }

  #drawWeak(): void {
    const lighter = this.#lighter
    const weak = lighter !== undefined && this.#stalls.weak(performance.now())
    show(byId('weak', HTMLElement), weak)
    if (weak) sayChoice(byId('lighter', HTMLButtonElement), lighter)
  }

  #save(): void {
    const { position, duration, rate, volume, muted } = this.#player
    const saved = JSON.stringify([Math.round(position), rate, volume, muted])
    if (!this.#choice || duration === 0 || saved === this.#saved) return
    this.#saved = saved
    if (!this.#isLive) remember(this.#id, position, duration)
    like({ rate, volume, muted })
  }

  #key(event: KeyboardEvent): void {
    if (!this.#choice || document.querySelector('dialog[open]')) return
    const wish = command(event, focusOf(event.target))
    if (!wish) return
    event.preventDefault()
    this.#do(wish)
  }

  #do(wish: Command): void {
    if (this.#watch(wish)) return
    if (wish.name === 'captions') {
      this.#captions.on = !this.#captions.on
      like({ captions: this.#captions.on })
    } else if (wish.name === 'views') this.#choose(following(this.#possible, this.#choice))
    else if (wish.name === 'swap') this.#stage.swap()
    else if (wish.name === 'fullscreen') this.#stage.toggleFull()
    else if (wish.name === 'share') void this.#share()
    else if (wish.name === 'help') byId('help', HTMLDialogElement).showModal()
    this.#changed()
  }

  #watch(wish: Command): boolean {
    if (wish.name !== 'chapter') return obey(this.#player, wish)
    this.#goTo(neighbour(this.#chapters, this.#player.position, wish.by > 0 ? 1 : -1))
    return true
  }

  #goTo(moment: number | undefined): void {
    if (moment !== undefined) this.#player.seek(moment)
  }

  async #share(): Promise<void> {
    const button = byId('share', HTMLButtonElement)
    const url = linkTo(location, this.#player.position)
    history.replaceState(null, '', url)
    // Without a clipboard (plain http) the address bar holds the link all the same.
    await navigator.clipboard?.writeText(url).catch(() => {})
    face(button, 'link', 'teach.copied')
    setTimeout(() => face(button, 'link', 'replay.share'), COPIED_MS)
  }
}

/** What a wrong format does once it does always. */
function canRetry(trouble: Trouble): boolean {
  return trouble !== 'codec'
}

function focusOf(target: EventTarget | null): Focus {
  if (!(target instanceof Element)) return 'none'
  if (target.closest('input[type="range"]')) return 'slider'
  if (target.closest('input, select, textarea')) return 'text'
  return target.closest('button, a, [role="tab"]') ? 'button' : 'none'
}

/** What the browser says of the link, where it says anything (Network Information API). */
function isWeakLink(): boolean {
  const { connection } = navigator as Navigator & {
    connection?: { saveData?: boolean; effectiveType?: string }
  }
  return connection?.saveData === true || /^(?:slow-)?2g$/.test(connection?.effectiveType ?? '')
}
