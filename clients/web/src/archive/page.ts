/** One lesson, replayed: facts, views, speed, downloads; a live one can be rewound. */
import { type Entry, entry } from '../lib/api'
import { byId, face, h, say, show, write } from '../lib/dom'
import { every } from '../lib/every'
import { type Key, onLanguage, t } from '../lib/i18n'
import { icon } from '../lib/icons'
import { joinPath } from '../lib/lesson'
import { deepLink } from '../lib/time'
import { archiveToken, enter, showError } from './access'
import { badge, dateOf, lengthOf, megabytes } from './facts'
import { recall, remember } from './memory'
import { Player } from './player'
import { type Choice, choices, playable, screens } from './views'

const SAVE_MS = 5_000
const LIVE_MS = 3_000

export class ReplayPage {
  readonly #id: string
  readonly #video = byId('player', HTMLVideoElement)
  readonly #player = new Player({
    main: this.#video,
    second: byId('second', HTMLVideoElement),
    onFatal: () => this.#note('error.playback'),
  })
  #entry: Entry | undefined
  #choice: Choice | undefined

  constructor(id: string) {
    this.#id = id
  }

  async start(): Promise<void> {
    try {
      this.#entry = await entry(this.#id, await enter())
    } catch (error) {
      return showError(error)
    }
    show(byId('replay', HTMLElement), true)
    this.#wire()
    this.#draw()
    const stop = every(LIVE_MS, async () => {
      if (this.#isOver()) return stop()
      await this.#refresh()
    })
  }

  #wire(): void {
    byId('speed', HTMLSelectElement).addEventListener('change', (event) => {
      this.#player.rate = Number((event.target as HTMLSelectElement).value)
    })
    byId('view-switch', HTMLElement).addEventListener('click', (event) => this.#chosen(event))
    byId('live-edge', HTMLButtonElement).addEventListener('click', () => this.#player.toEdge())
    byId('share', HTMLButtonElement).addEventListener('click', () => void this.#share())
    addEventListener('keydown', (event) => this.#key(event), { capture: true })
    const save = () => remember(this.#id, this.#video.currentTime, this.#video.duration)
    this.#video.addEventListener('pause', save)
    addEventListener('pagehide', save)
    setInterval(() => this.#video.paused || save(), SAVE_MS)
    onLanguage(() => this.#draw())
  }

  #isOver(): boolean {
    return this.#entry?.state !== 'live' && this.#entry?.state !== 'finishing'
  }

  async #refresh(): Promise<void> {
    this.#entry = await entry(this.#id, await archiveToken())
    this.#draw()
  }

  #draw(): void {
    const now = this.#entry
    if (!now) return
    document.title = `${now.title || now.lesson} · Tongbu 同步`
    write(byId('title', HTMLElement), now.title || now.lesson)
    const facts =
      now.state === 'live' ? [dateOf(now)] : [dateOf(now), lengthOf(now), megabytes(now)]
    write(byId('facts', HTMLElement), facts.join(' · '))
    this.#drawBadge(now)
    this.#drawDownloads(now)
    this.#drawViews(now)
  }

  #drawBadge(now: Entry): void {
    const [mark, key] = [byId('badge', HTMLElement), badge(now.state)]
    show(mark, key !== undefined)
    mark.dataset.state = now.state
    if (key) say(mark, key)
    show(
      byId('live-edge', HTMLElement),
      now.state === 'live' && playable(now).some((view) => view.hls),
    )
    const join = byId('join', HTMLAnchorElement)
    join.href = joinPath(now.lesson)
    show(join, now.state === 'live')
  }

  #drawViews(now: Entry): void {
    const views = playable(now)
    const possible = choices(views)
    show(byId('view-switch', HTMLElement), possible.length > 1)
    for (const part of [this.#video, byId('deck', HTMLElement), byId('keys', HTMLElement)])
      show(part, views.length > 0)
    if (views.length === 0) this.#note(this.#isOver() ? 'replay.nothing' : 'replay.afterTheBell')
    else if (!this.#choice) this.#first(now, possible)
  }

  /** The first opening: side by side where there are slides, at the place asked for or left. */
  #first(now: Entry, possible: readonly Choice[]): void {
    this.#video.poster = now.poster ?? ''
    const start = now.state === 'live' ? undefined : 0
    const at = deepLink(location.search) ?? recall(this.#id) ?? start
    this.#open(possible.includes('both') ? 'both' : (possible[0] ?? 'camera'), at)
  }

  #chosen(event: Event): void {
    const button = event.target instanceof HTMLElement ? event.target.closest('button') : null
    const choice = button?.dataset.view as Choice | undefined
    if (choice && choice !== this.#choice) this.#open(choice, this.#player.position)
  }

  #open(choice: Choice, at: number | undefined): void {
    if (!this.#entry) return
    this.#choice = choice
    this.#note(undefined)
    const shown = screens(playable(this.#entry), choice)
    byId('screens', HTMLElement).dataset.view = shown.second ? 'both' : 'one'
    for (const button of byId('view-switch', HTMLElement).querySelectorAll('button'))
      button.setAttribute('aria-pressed', String(button.dataset.view === choice))
    void this.#player.open(shown, at)
  }

  #drawDownloads(now: Entry): void {
    const links = now.downloads.map((url) => {
      const name = decodeURIComponent(url.split('/').pop() ?? url)
      const said = `${t('replay.download')}: ${name}`
      const saved = { href: url, download: `${now.lesson}-${name}` }
      return h('a', { class: 'button', 'aria-label': said, ...saved }, icon('download'), name)
    })
    byId('downloads', HTMLElement).replaceChildren(...links)
  }

  #key(event: KeyboardEvent): void {
    const busy =
      event.target instanceof Element && event.target.closest('input, select, textarea, button, a')
    if (busy || event.ctrlKey || event.altKey || event.metaKey || !this.#choice) return
    if (this.#player.press(event.key)) event.preventDefault()
  }

  async #share(): Promise<void> {
    const button = byId('share', HTMLButtonElement)
    const url = new URL(location.pathname, location.origin)
    url.searchParams.set('t', String(Math.floor(this.#player.position)))
    history.replaceState(null, '', url)
    // Without a clipboard (plain http) the address bar holds the link all the same.
    await navigator.clipboard?.writeText(url.href).catch(() => {})
    face(button, 'link', 'teach.copied')
    setTimeout(() => face(button, 'link', 'replay.share'), 2000)
  }

  #note(key: Key | undefined): void {
    const note = byId('note', HTMLElement)
    show(note, key !== undefined)
    if (key) say(note, key)
  }
}
