/** Who is here: each school's hand, voice and link, and the floor to give and to take back. */
import type { Room } from 'livekit-client'
import { byId, face, h, label, show, write } from '../lib/dom'
import { Declined, Desk, parseFloor } from '../lib/floor'
import { locale, onLanguage } from '../lib/i18n'
import { icon } from '../lib/icons'
import { type Present, roll } from '../lib/roll'
import { onChange } from '../lib/room'
import type { Sentence } from '../lib/sentences'

export class People {
  readonly #room: Room
  readonly #desk: Desk
  readonly #list = byId('people', HTMLElement)
  readonly #onProblem: (problem: Sentence) => void
  readonly #rows = new Map<string, Row>()

  constructor(room: Room, onProblem: (problem: Sentence) => void) {
    this.#room = room
    this.#desk = new Desk(room)
    this.#onProblem = onProblem
    onChange(room, () => this.#draw())
    onLanguage(() => this.#draw())
    this.#draw()
  }

  #draw(): void {
    const floor = parseFloor(this.#room.metadata)
    const present = roll(this.#room.remoteParticipants.values(), floor, locale())
    show(byId('nobody', HTMLElement), present.length === 0)
    write(byId('hands', HTMLElement), floor.hands.length > 0 ? String(floor.hands.length) : '')
    const rows = present.map((one) => this.#row(one))
    for (const [identity, row] of this.#rows) if (!rows.includes(row)) this.#drop(identity, row)
    rows.forEach((row, at) => {
      // A row that stands right is not touched: the keyboard may be on its button.
      const there = this.#list.children[at]
      if (there !== row.element) this.#list.insertBefore(row.element, there ?? null)
    })
  }

  #row(one: Present): Row {
    let row = this.#rows.get(one.identity)
    if (!row) {
      row = new Row((wish) => void this.#carryOut(wish, one.identity))
      this.#rows.set(one.identity, row)
    }
    row.draw(one)
    return row
  }

  #drop(identity: string, row: Row): void {
    row.element.remove()
    this.#rows.delete(identity)
  }

  async #carryOut(wish: Wish, identity: string): Promise<void> {
    try {
      if (wish === 'grant') await this.#desk.grant(identity)
      else if (wish === 'revoke') await this.#desk.revoke()
      else await this.#desk.lowerHand(identity)
    } catch (error) {
      const reason = error instanceof Declined ? error.why : ''
      this.#onProblem(
        reason ? { key: 'error.declined', params: { reason } } : { key: 'error.notHeard' },
      )
    }
  }
}

type Wish = 'grant' | 'revoke' | 'lower'

class Row {
  readonly element = h('li', { 'data-testid': 'person' })
  readonly #name = h('span', { class: 'person-name' })
  readonly #link = h('span', { class: 'signal' }, h('i'), h('i'), h('i'))
  readonly #floor = button('floor', 'mic')
  readonly #lower = button('lower', 'close')
  #hand: Present['hand'] = 'down'

  constructor(ask: (wish: Wish) => void) {
    this.#floor.addEventListener('click', () => ask(this.#hand === 'speaking' ? 'revoke' : 'grant'))
    this.#lower.addEventListener('click', () => ask('lower'))
    label(this.#lower, 'people.lower')
    const hand = h('span', { class: 'person-hand', 'aria-hidden': 'true' })
    hand.append(icon('hand'))
    this.element.append(this.#link, hand, this.#name, this.#lower, this.#floor)
  }

  draw({ name, speaking, quality, hand, school }: Present): void {
    this.#hand = hand
    this.element.dataset.hand = hand
    this.element.toggleAttribute('data-speaking', speaking)
    write(this.#name, name)
    this.#link.dataset.quality = quality ?? 'unknown'
    label(this.#link, `quality.${quality ?? 'unknown'}`)
    this.#link.setAttribute('role', 'img')
    show(this.#lower, hand === 'up')
    show(this.#floor, school)
    face(
      this.#floor,
      hand === 'speaking' ? 'micOff' : 'mic',
      hand === 'speaking' ? 'people.revoke' : 'people.grant',
    )
  }
}

function button(name: 'floor' | 'lower', picture: 'mic' | 'close'): HTMLButtonElement {
  const made = h('button', { type: 'button', 'data-testid': name, class: `person-${name}` })
  made.append(icon(picture))
  if (name === 'floor') made.append(h('span'))
  return made
}
