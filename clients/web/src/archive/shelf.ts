/** The list of lessons: cards, search, the empty shelf. */
import { type Entry, entries } from '../lib/api'
import { byId, h, say, show, write } from '../lib/dom'
import { every } from '../lib/every'
import { onLanguage } from '../lib/i18n'
import { icon } from '../lib/icons'
import { clock } from '../lib/time'
import { archiveToken, clearError, enter, showError } from './access'
import { badge, dateOf } from './facts'

const PAGE = 24
const TYPING_MS = 250
const REFRESH_MS = 10_000

export class Shelf {
  readonly #cards = byId('cards', HTMLUListElement)
  readonly #query = byId('q', HTMLInputElement)
  #entries: Entry[] = []
  #wanted = PAGE
  #drawn = ''
  #asked = 0

  async start(): Promise<void> {
    show(byId('shelf', HTMLElement), true)
    this.#query.value = new URLSearchParams(location.search).get('q') ?? ''
    this.#wire()
    try {
      await enter()
      await this.#load()
    } catch (error) {
      showError(error)
    } finally {
      show(byId('loading', HTMLElement), false)
    }
    every(REFRESH_MS, () => (document.visibilityState === 'visible' ? this.#load() : undefined))
  }

  #wire(): void {
    let typing: ReturnType<typeof setTimeout> | undefined
    this.#query.addEventListener('input', () => {
      clearTimeout(typing)
      typing = setTimeout(() => this.#search(), TYPING_MS)
    })
    byId('search', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      this.#search()
    })
    byId('clear', HTMLButtonElement).addEventListener('click', () => {
      this.#query.value = ''
      this.#search()
      this.#query.focus()
    })
    byId('more', HTMLButtonElement).addEventListener('click', () => {
      this.#wanted += PAGE
      this.#load().catch(showError)
    })
    onLanguage(() => this.#draw())
  }

  #search(): void {
    const q = this.#query.value.trim()
    history.replaceState(null, '', q ? `/archive?q=${encodeURIComponent(q)}` : '/archive')
    this.#wanted = PAGE
    this.#load().catch(showError)
  }

  /** One more than wanted is asked for: it tells whether there are more. */
  async #load(): Promise<void> {
    const turn = ++this.#asked
    const found = await entries(await archiveToken(), {
      q: this.#query.value.trim(),
      limit: this.#wanted + 1,
    })
    if (turn !== this.#asked) return
    clearError()
    this.#entries = found
    this.#draw()
  }

  #draw(): void {
    const shown = this.#entries.slice(0, this.#wanted)
    const picture = JSON.stringify([document.documentElement.lang, shown])
    // A refresh that brought nothing new must not take the focus from a card.
    if (picture !== this.#drawn) this.#cards.replaceChildren(...shown.map(card))
    this.#drawn = picture
    show(byId('more', HTMLElement), this.#entries.length > this.#wanted)
    this.#drawEmpty(shown.length === 0)
  }

  #drawEmpty(empty: boolean): void {
    const q = this.#query.value.trim()
    show(byId('empty', HTMLElement), empty)
    show(byId('clear', HTMLElement), q !== '')
    say(byId('empty-title', HTMLElement), q ? 'archive.nothing' : 'archive.empty', { q })
    say(byId('empty-detail', HTMLElement), q ? 'archive.nothingDetail' : 'archive.emptyDetail')
  }
}

function card(entry: Entry): HTMLLIElement {
  const attributes = {
    class: 'card',
    href: `/archive/${encodeURIComponent(entry.id)}`,
    'data-testid': 'lesson-card',
  }
  const link = h('a', { ...attributes, 'data-id': entry.id, 'data-state': entry.state })
  const title = h('h2', {}, entry.title || entry.lesson)
  const when = h(
    'time',
    { datetime: new Date(entry.started_at * 1000).toISOString() },
    dateOf(entry),
  )
  link.append(poster(entry), h('div', { class: 'card-text' }, title, when))
  return h('li', {}, link)
}

function poster(entry: Entry): HTMLElement {
  const frame = h('div', { class: 'poster' })
  if (entry.poster) {
    const image = h('img', { src: entry.poster, alt: '', loading: 'lazy', decoding: 'async' })
    image.addEventListener('error', () => image.replaceWith(icon('play')))
    frame.append(image)
  } else frame.append(icon('play'))
  const key = badge(entry.state)
  if (key) {
    const mark = h('span', { class: 'badge', 'data-state': entry.state })
    say(mark, key)
    frame.append(mark)
  }
  const length = h('span', { class: 'length' })
  write(length, clock(entry.duration_s))
  if (entry.state !== 'live') frame.append(length)
  return frame
}
