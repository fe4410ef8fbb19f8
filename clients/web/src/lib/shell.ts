/** What every page has: the masthead, and the screen that asks for a link. */
import logo from '../logo.svg?raw'
import { byId, h, label, say, startPage } from './dom'
import { type Key, switchLanguage } from './i18n'

type Page = 'teach' | 'archive' | 'join'

/** Starts a page: language, icons, masthead. */
export function startShell(page: Page): void {
  byId('masthead', HTMLElement).prepend(brand(), ...navigation(page))
  startPage()
}

/** The whole page gives way to one sentence: nobody gets further without a link. */
export function askForLink(): void {
  const main = document.querySelector('main')
  main?.replaceChildren(
    h(
      'section',
      { class: 'notice-page', 'data-testid': 'ask-for-link' },
      words('h1', 'error.noLink'),
      words('p', 'error.noLinkDetail'),
    ),
  )
}

export function words(tag: 'h1' | 'h2' | 'p' | 'span', key: Key): HTMLElement {
  const element = h(tag)
  say(element, key)
  return element
}

function brand(): HTMLElement {
  const mark = h('span', { class: 'brand-mark', 'aria-hidden': 'true' })
  mark.innerHTML = logo
  return h(
    'a',
    { class: 'brand', href: '/archive' },
    mark,
    h('b', {}, 'Tongbu'),
    h('i', { lang: 'zh' }, '同步'),
  )
}

function navigation(page: Page): HTMLElement[] {
  if (page === 'join') return [languageButton()]
  const links = h('nav', {}, navLink('/teach', 'nav.teach', page === 'teach'))
  links.append(navLink('/archive', 'nav.archive', page === 'archive'))
  return [links, languageButton()]
}

function navLink(href: string, key: Key, here: boolean): HTMLElement {
  const link = h('a', here ? { href, 'aria-current': 'page' } : { href })
  say(link, key)
  return link
}

function languageButton(): HTMLElement {
  const button = h('button', { type: 'button', class: 'quiet language' })
  say(button, 'nav.languageName')
  label(button, 'nav.language')
  button.addEventListener('click', switchLanguage)
  return button
}
