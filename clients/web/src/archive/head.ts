/** A lesson's name and facts, over the player. */
import type { Entry } from '../lib/api'
import { byId, say, show, write } from '../lib/dom'
import { joinPath } from '../lib/lesson'
import { badge, dateOf, lengthOf, megabytes } from './facts'

const ABOUT = ['school', 'subject', 'grade', 'teacher', 'series'] as const

export function drawHead(now: Entry): void {
  const live = now.state === 'live'
  document.title = `${now.title || now.lesson} · Tongbu 同步`
  write(byId('title', HTMLElement), now.title || now.lesson)
  const [mark, key] = [byId('badge', HTMLElement), badge(now.state)]
  show(mark, key !== undefined)
  mark.dataset.state = now.state
  if (key) say(mark, key)
  const join = byId('join', HTMLAnchorElement)
  join.href = joinPath(now.lesson)
  show(join, live)
}

/** Apart, as a browser's first date takes it a twentieth of a second. */
export function drawFacts(now: Entry): void {
  const live = now.state === 'live'
  const about = ABOUT.flatMap((name) => now[name] || [])
  const when = live ? [dateOf(now)] : [dateOf(now), lengthOf(now), megabytes(now)]
  write(byId('facts', HTMLElement), [...about, ...when].join(' · '))
}
