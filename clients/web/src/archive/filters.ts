/** The filters over the shelf: a list to choose from for each facet that tells lessons apart. */
import { byId, h, show } from '../lib/dom'
import { locale, t } from '../lib/i18n'
import { type Answer, choicesOf, FACETS, type Facet, type Wish } from './search'

export class Filters {
  readonly #row = byId('filters', HTMLElement)
  readonly #lists = new Map<Facet, HTMLSelectElement>()
  readonly #drawn = new Map<Facet, string>()

  constructor(onChoice: (facet: Facet, value: string) => void) {
    for (const facet of FACETS) {
      const list = h('select', { 'data-testid': `filter-${facet}`, hidden: '' })
      list.addEventListener('change', () => onChoice(facet, list.value))
      this.#lists.set(facet, list)
      this.#row.append(list)
    }
  }

  /** One that has nothing to choose from is not shown; one that is open is not disturbed. */
  draw(wish: Wish, facets: Answer['facets']): void {
    for (const [facet, list] of this.#lists) {
      const chosen = wish.chosen[facet]
      const choices = choicesOf(facets[facet] ?? [], chosen)
      const picture = JSON.stringify([locale(), chosen, choices])
      if (picture === this.#drawn.get(facet)) continue
      this.#drawn.set(facet, picture)
      const all = h('option', { value: '' }, t(`archive.all.${facet}`))
      const options = choices.map(({ value, count }) =>
        h('option', { value }, `${inWords(facet, value)} (${count.toLocaleString(locale())})`),
      )
      list.replaceChildren(all, ...options)
      list.value = chosen ?? ''
      list.setAttribute('aria-label', t(`archive.by.${facet}`))
      list.toggleAttribute('data-chosen', chosen !== undefined)
      show(list, chosen !== undefined || choices.length > 1)
    }
    const shown = [...this.#lists.values()].some((list) => !list.hidden)
    show(this.#row, shown)
  }
}

/** A language's own tag says little to most people. */
function inWords(facet: Facet, value: string): string {
  if (facet !== 'language') return value
  try {
    return new Intl.DisplayNames([locale()], { type: 'language' }).of(value) ?? value
  } catch {
    return value
  }
}
