/** A few typed helpers instead of a framework. */

import { isKey, type Key, onLanguage, type Params, startLanguage, t } from './i18n'
import { type IconName, icon, isIcon } from './icons'

/** The element of this id; a page without it, or with another kind, is a programming error. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`#${id} is not a ${kind.name}`)
  return found
}

type Child = Node | string

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** Writes a sentence that follows later language switches. */
export function say(element: HTMLElement, key: Key, params?: Params): void {
  element.dataset.i18n = key
  if (params) element.dataset.i18nParams = JSON.stringify(params)
  else delete element.dataset.i18nParams
  const text = t(key, params)
  // Live regions speak at every write: write only what changed.
  if (element.textContent !== text) element.textContent = text
}

/** Writes text that is in no language: names, times, numbers. */
export function write(element: HTMLElement, text: string): void {
  delete element.dataset.i18n
  if (element.textContent !== text) element.textContent = text
}

/** Names an element for screen readers and as a tooltip; follows language switches. */
export function label(element: HTMLElement, key: Key): void {
  element.dataset.i18nLabel = key
  element.setAttribute('aria-label', t(key))
  element.title = t(key)
}

/** A button's picture and words, as they change with its meaning. */
export function face(button: HTMLElement, name: IconName, key: Key): void {
  button.querySelector('svg')?.replaceWith(icon(name))
  const words = button.querySelector('span')
  if (words) say(words, key)
  label(button, key)
}

export function show(element: Element, visible: boolean): void {
  element.toggleAttribute('hidden', !visible)
}

/** Translates the page, draws its icons, and keeps it translated. Call once, first. */
export function startPage(): void {
  startLanguage()
  for (const holder of document.querySelectorAll<HTMLElement>('[data-icon]')) {
    const name = holder.dataset.icon ?? ''
    if (isIcon(name)) holder.prepend(icon(name))
  }
  localise()
  onLanguage(localise)
}

function localise(): void {
  for (const element of document.querySelectorAll<HTMLElement>('[data-i18n]')) {
    const key = element.dataset.i18n ?? ''
    const params = element.dataset.i18nParams
    if (isKey(key)) say(element, key, params ? (JSON.parse(params) as Params) : undefined)
  }
  for (const element of document.querySelectorAll<HTMLElement>('[data-i18n-label]')) {
    const key = element.dataset.i18nLabel ?? ''
    if (isKey(key)) label(element, key)
  }
  for (const input of document.querySelectorAll<HTMLInputElement>('[data-i18n-placeholder]')) {
    const key = input.dataset.i18nPlaceholder ?? ''
    if (isKey(key)) input.placeholder = t(key)
  }
}
