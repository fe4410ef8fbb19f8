/** The list of lessons: cards, search, filters, the empty shelf. */
import { byId, say, show } from '../lib/dom'
import { every } from '../lib/every'
import { locale, onLanguage } from '../lib/i18n'
import { archiveToken, clearError, enter, showError } from './access'
import { card } from './card'
import { Filters } from './filters'
import {
  type Answer,
  type Facet,
  isNarrow,
  queryOf,
  type Sort,
  search,
  type Wish,
  wishOf,
} from './search'

const PAGE = 24
/** What the node gives at most. */
const MOST = 1000
const TYPING_MS = 250
const REFRESH_MS = 10_000

const NOTHING: Answer = {
  lessons: [],
  total: 0,
  facets: { school: [], subject: [], grade: [], teacher: [], series: [], language: [] },
}

export class Shelf {
  readonly #cards = byId('cards', HTMLUListElement)
  readonly #query = byId('q', HTMLInputElement)
  readonly #sort = byId('sort', HTMLSelectElement)
  readonly #filters = new Filters((facet, value) => this.#choose(facet, value))
  #wish: Wish = wishOf(location.search)
  #answer: Answer = NOTHING
  #wanted = PAGE
  #drawn = ''
  #asked = 0
  #counted = false

  async start(): Promise<void> {
    show(byId('shelf', HTMLElement), true)
    this.#fill()
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
      typing = setTimeout(() => this.#change({ q: this.#query.value }), TYPING_MS)
    })
    byId('search', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      this.#change({ q: this.#query.value })
    })
    this.#sort.addEventListener('change', () => this.#change({ sort: this.#sort.value as Sort }))
    for (const id of ['clear', 'clear-all'])
      byId(id, HTMLButtonElement).addEventListener('click', () => this.#clear())
    byId('more', HTMLButtonElement).addEventListener('click', () => {
      this.#wanted += PAGE
      this.#load().catch(showError)
    })
    addEventListener('popstate', () => {
      this.#wish = wishOf(location.search)
      this.#counted = false
      this.#fill()
      this.#load().catch(showError)
    })
    onLanguage(() => this.#draw())
  }

  #fill(): void {
    this.#query.value = this.#wish.q
    this.#drawSort()
  }

  #clear(): void {
    this.#change({ q: '', chosen: {} })
    this.#fill()
    this.#query.focus()
  }

  #choose(facet: Facet, value: string): void {
    const { [facet]: _, ...others } = this.#wish.chosen
    this.#change({ chosen: value ? { ...others, [facet]: value } : others })
  }

  #change(change: Partial<Wish>): void {
    this.#wish = { ...this.#wish, ...change }
    this.#counted = false
    const query = queryOf(this.#wish).toString()
    history.replaceState(null, '', query ? `/archive?${query}` : '/archive')
    this.#wanted = PAGE
    this.#load().catch(showError)
  }

  async #load(): Promise<void> {
    const turn = ++this.#asked
    const known = this.#counted ? this.#answer.facets : undefined
    const found = await search(await archiveToken(), this.#wish, this.#wanted, known)
    if (turn !== this.#asked) return
    this.#counted = !known || found.total === this.#answer.total
    if (!this.#counted) return this.#load() // lessons came or went: their schools have to be counted
    clearError()
    this.#answer = found
    this.#draw()
  }

  #draw(): void {
    const { lessons, total, facets } = this.#answer
    const picture = JSON.stringify([document.documentElement.lang, lessons])
    // A refresh that brought nothing new must not take the focus from a card.
    if (picture !== this.#drawn) this.#cards.replaceChildren(...lessons.map(card))
    this.#drawn = picture
    this.#filters.draw(this.#wish, facets)
    this.#drawCount(total)
    show(byId('more', HTMLElement), lessons.length < total && this.#wanted < MOST)
    this.#drawEmpty(total === 0)
  }

  #drawCount(total: number): void {
    const line = byId('count', HTMLElement)
    const n = total.toLocaleString(locale())
    say(line, total === 1 ? 'archive.one' : 'archive.count', { n })
    show(byId('results', HTMLElement), total > 1 || (total === 1 && isNarrow(this.#wish)))
    show(byId('clear-all', HTMLElement), isNarrow(this.#wish))
    this.#drawSort()
  }

  /** Without words there is nothing to be best by: then the newest are. */
  #drawSort(): void {
    const { q, sort } = this.#wish
    const best = this.#sort.querySelector('option[value="best"]')
    if (best) show(best, q.trim() !== '')
    this.#sort.value = sort === 'best' && q.trim() === '' ? 'newest' : sort
  }

  #drawEmpty(empty: boolean): void {
    const narrow = isNarrow(this.#wish)
    const q = this.#wish.q.trim()
    show(byId('empty', HTMLElement), empty)
    show(byId('clear', HTMLElement), narrow)
    const title = q ? 'archive.nothing' : narrow ? 'archive.nothingSuch' : 'archive.empty'
    say(byId('empty-title', HTMLElement), title, { q })
    say(byId('empty-detail', HTMLElement), narrow ? 'archive.nothingDetail' : 'archive.emptyDetail')
  }
}
