/** Beside the player: the chapters, and what was written in the lesson. */
import type { Said } from '../lib/api'
import { byId, h, say, show, write } from '../lib/dom'
import { clock } from '../lib/time'
import type { Chapter } from './chapters'
import { sayChapter } from './seekbar'
import { newest, type Talk } from './talk'
import { cueAt } from './vtt'

const TABS = ['chapters', 'talk'] as const
type Tab = (typeof TABS)[number]

export class Side {
  readonly #chapterList = byId('chapters', HTMLOListElement)
  readonly #talkList = byId('talk', HTMLOListElement)
  readonly #now = byId('chapter-now', HTMLElement)
  readonly #onSeek: (to: number) => void
  #chapters: readonly Chapter[] = []
  #talk: Talk = []
  #notes = ''
  #tab: Tab = 'chapters'
  #marked: (HTMLElement | undefined)[] = []

  constructor(onSeek: (to: number) => void) {
    this.#onSeek = onSeek
    for (const tab of TABS) {
      const button = tabOf(tab)
      button.addEventListener('click', () => this.#open(tab))
      button.addEventListener('keydown', (event) => this.#turn(event))
    }
  }

  set chapters(chapters: readonly Chapter[]) {
    this.#chapters = chapters
    this.#chapterList.replaceChildren(...chapters.map((chapter) => this.#chapter(chapter)))
    this.#draw()
  }

  set talk(talk: Talk) {
    this.#talk = talk
    this.#talkList.replaceChildren(...talk.map((said) => this.#said(said)))
    this.#draw()
  }

  /** What was noted of the lesson as a whole. */
  set notes(notes: string) {
    this.#notes = notes
    const line = byId('notes', HTMLElement)
    show(line, notes !== '')
    write(line, notes)
    this.#draw()
  }

  /** Marks what belongs to this moment. */
  at(position: number): void {
    const chapter = cueAt(this.#chapters, position)
    if (chapter) sayChapter(this.#now, chapter)
    else write(this.#now, '')
    this.#mark(0, this.#chapterList, chapter ? this.#chapters.indexOf(chapter) : -1)
    this.#mark(1, this.#talkList, newest(this.#talk, position))
  }

  #chapter(chapter: Chapter): HTMLLIElement {
    const name = h('span')
    sayChapter(name, chapter)
    return this.#item(chapter.start, name)
  }

  #said({ t, name, text, kind }: Said): HTMLLIElement {
    const words = h('span', {}, h('b', { dir: 'auto' }, name), h('q', { dir: 'auto' }, text))
    const item = this.#item(t, words)
    item.dataset.kind = kind
    return item
  }

  #item(at: number, words: HTMLElement): HTMLLIElement {
    const button = h('button', { type: 'button' }, h('time', {}, clock(at)), words)
    button.addEventListener('click', () => this.#onSeek(at))
    return h('li', {}, button)
  }

  #draw(): void {
    const has = {
      chapters: this.#chapters.length > 0,
      talk: this.#talk.length > 0 || this.#notes !== '',
    }
    show(byId('side', HTMLElement), has.chapters || has.talk)
    byId('replay-body', HTMLElement).dataset.side = String(has.chapters || has.talk)
    for (const tab of TABS) show(tabOf(tab), has[tab])
    if (!has[this.#tab]) this.#tab = has.chapters ? 'chapters' : 'talk'
    this.#open(this.#tab)
  }

  #open(tab: Tab): void {
    this.#tab = tab
    for (const one of TABS) {
      tabOf(one).setAttribute('aria-selected', String(one === tab))
      tabOf(one).tabIndex = one === tab ? 0 : -1
      show(byId(`panel-${one}`, HTMLElement), one === tab)
    }
  }

  /** Arrows go from tab to tab, as tabs do (ARIA Authoring Practices). */
  #turn(event: KeyboardEvent): void {
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return
    const other = this.#tab === 'chapters' ? 'talk' : 'chapters'
    if (tabOf(other).hidden) return
    event.preventDefault()
    event.stopPropagation()
    this.#open(other)
    tabOf(other).focus()
  }

  /** The entry of this moment, brought into sight without moving the page. */
  #mark(slot: number, list: HTMLElement, index: number): void {
    const item = list.children[index]?.firstElementChild
    const next = item instanceof HTMLElement ? item : undefined
    if (this.#marked[slot] === next) return
    this.#marked[slot]?.removeAttribute('aria-current')
    this.#marked[slot] = next
    next?.setAttribute('aria-current', 'true')
    const panel = list.parentElement
    if (next && panel && !panel.matches(':hover, :focus-within'))
      panel.scrollTop = next.offsetTop - (panel.clientHeight - next.offsetHeight) / 2
  }
}

function tabOf(tab: Tab): HTMLButtonElement {
  return byId(`tab-${tab}`, HTMLButtonElement)
}

/** A line of captions over the picture. */
export function sayCaption(text: string | undefined): void {
  const line = byId('caption', HTMLElement)
  show(line, text !== undefined)
  if (text !== undefined) write(line, text)
}

/** A sentence over the picture; undefined takes it away. */
export function note(sentence: Parameters<typeof say>[1] | undefined, retry = false): void {
  show(byId('note', HTMLElement), sentence !== undefined)
  show(byId('retry', HTMLElement), retry)
  if (sentence) say(byId('note-text', HTMLElement), sentence)
}
