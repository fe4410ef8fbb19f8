/** A lesson on the shelf: its picture, its name, and where it has what was looked for. */
import { h, say, write } from '../lib/dom'
import { icon } from '../lib/icons'
import { clock } from '../lib/time'
import { badge, dateOf } from './facts'
import type { Found, Passage } from './search'

/** Where it is taught, what, and by whom: in this order. */
const FACTS = ['school', 'subject', 'grade', 'teacher'] as const

export function card(lesson: Found): HTMLLIElement {
  const attributes = {
    class: 'card-link',
    href: pageOf(lesson),
    'data-testid': 'lesson-card',
  }
  const link = h('a', { ...attributes, 'data-id': lesson.id, 'data-state': lesson.state })
  const title = h('h2', { dir: 'auto' }, ...marked(lesson, 'title', lesson.title || lesson.lesson))
  const when = h(
    'time',
    { datetime: new Date(lesson.started_at * 1000).toISOString() },
    dateOf(lesson),
  )
  const text = h('div', { class: 'card-text' }, title, ...facts(lesson), when)
  link.append(poster(lesson), text)
  return h('li', { class: 'card' }, link, ...quotes(lesson))
}

function pageOf(lesson: Found, at?: number): string {
  const page = `/archive/${encodeURIComponent(lesson.id)}`
  return at === undefined ? page : `${page}#t=${Math.floor(at)}`
}

function facts(lesson: Found): HTMLElement[] {
  const known = FACTS.filter((name) => lesson[name])
  if (known.length === 0) return []
  const line = h('p', { class: 'card-facts', dir: 'auto' })
  for (const [place, name] of known.entries())
    line.append(...(place > 0 ? [' · '] : []), ...marked(lesson, name, lesson[name]))
  return [line]
}

/** What notes and chat say; a message leads to its moment. */
function quotes(lesson: Found): HTMLElement[] {
  const said = (lesson.found ?? []).filter(({ in: place }) => place === 'notes' || place === 'chat')
  if (said.length === 0) return []
  const list = h('ul', { class: 'card-found', 'data-testid': 'found' })
  for (const passage of said) {
    const words = h('span', { dir: 'auto' }, ...pieces(passage.parts))
    const who = passage.name ? [h('b', {}, passage.name)] : []
    const at = passage.t === undefined ? [] : [h('time', {}, clock(passage.t))]
    const link = h('a', { href: pageOf(lesson, passage.t) }, ...at, ...who, words)
    list.append(h('li', {}, link))
  }
  return [list]
}

/** The text with what was found in it marked. */
function marked(lesson: Found, name: string, text: string): (Node | string)[] {
  const known = lesson.found?.find((passage: Passage) => passage.in === name)
  return known ? pieces(known.parts) : [text]
}

function pieces(parts: readonly string[]): (Node | string)[] {
  return parts.map((part, place) => (place % 2 === 1 ? h('mark', {}, part) : part))
}

function poster(lesson: Found): HTMLElement {
  const frame = h('div', { class: 'poster' })
  if (lesson.poster) {
    const image = h('img', { src: lesson.poster, alt: '', loading: 'lazy', decoding: 'async' })
    image.addEventListener('error', () => image.replaceWith(icon('play')))
    frame.append(image)
  } else frame.append(icon('play'))
  const key = badge(lesson.state)
  if (key) {
    const mark = h('span', { class: 'badge', 'data-state': lesson.state })
    say(mark, key)
    frame.append(mark)
  }
  const length = h('span', { class: 'length' })
  write(length, clock(lesson.duration_s))
  if (lesson.state !== 'live') frame.append(length)
  return frame
}
